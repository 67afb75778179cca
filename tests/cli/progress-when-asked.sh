# SIGUSR1 prints one line, also with --quiet, and disturbs nothing.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 10000000 1
in_background "$VMABAK" backup --quiet --rate 5M -o a.vmab drive.raw
wait_until has_part . 1000000
kill -USR1 $pid
wait_until test -s "$err"
[ "$(wc -l <"$err")" = 1 ] || fail "not one line: $(cat "$err")"
grep -qE '^vmabak: a.vmab: disk0: +[0-9]+%  [0-9.]+ M?i?B done, [0-9.]+ MiB left.*/s' "$err" || fail "said: $(cat "$err")"
kill -USR1 $pid
ended_with 0 $pid
[ "$(wc -l <"$err")" = 2 ] || fail "not two lines: $(cat "$err")"
expect_code 0 "$VMABAK" verify a.vmab
# Before there is anything to tell it is no death either.
mkfifo control
in_background sh -c 'exec "$VMABAK" verify - <control'
exec 5>control
takes_signals()
{
	[ "$(ls "/proc/$pid/task" | wc -l)" -gt 1 ]
}
wait_until takes_signals
kill -USR1 $pid
cat a.vmab >&5
exec 5>&-
ended_with 0 $pid
