# SIGUSR1 prints one line, also with --quiet, and disturbs nothing.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 10000000 1
mkfifo pipe
# It does not end before its output is read.
in_background sh -c 'exec "$VMABAK" backup --quiet -o - drive.raw >pipe'
exec 5<pipe
head -c 3000000 <&5 >a.vmab
said()
{
	[ "$(wc -l <"$err")" = "$1" ]
}
for n in 1 2; do
	kill -USR1 $pid
	wait_until said $n
done
grep -qE '^vmabak: standard output: disk0: +[0-9]+%  [0-9.]+ M?i?B done, [0-9.]+ MiB left.*/s' "$err" || fail "said: $(cat "$err")"
cat <&5 >>a.vmab
ended_with 0 $pid
said 2 || fail "not two lines: $(cat "$err")"
expect_code 0 "$VMABAK" verify -q a.vmab
