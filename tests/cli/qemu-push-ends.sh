# Whatever ends a backup early, the guest's writes go on without an error, nothing of it is left in
# QEMU, no archive appears, and the next backup succeeds.
# long: many ends of a backup
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

written_drives 100

next_one()
{
	nothing_in_qemu
	[ -z "$(ls -A | grep -F .vma)" ] || fail "left after $1: $(ls -A)"
	expect_code 0 "$VMABAK" backup "qemu:$qmp" -o next.vmab
	expect_no_text "$err" 'cleaned up'
	rm next.vmab
}

# A signal, with the output slow, and with an output that takes nothing at all.
for signal in INT:130 TERM:143 HUP:129; do
	in_background "$VMABAK" backup "qemu:$qmp" --rate 1M --buffer 16M -o a.vmab
	wait_until jobs_run
	kill -${signal%:*} $pid
	ended_with ${signal#*:} $pid
	next_one SIG${signal%:*}
done
mkfifo "$TMPDIR/fifo"
sleep 600 <"$TMPDIR/fifo" &
reader=$!
on_exit "kill $reader 2>/dev/null"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" "$VMABAK" backup "qemu:$qmp" -o - --format vma
wait_until jobs_run
kill -TERM $pid
ended_with 143 $pid
kill $reader
next_one 'SIGTERM before a pipe that is stuck'

# The output.
expect_code 1 sh -c '{ "$@"; echo $? >&3; } 3>"$0" | head -c 1000000 >/dev/null; exit $(cat "$0")' \
	"$TMPDIR/code" "$VMABAK" backup "qemu:$qmp" -o -
expect_text "$err" 'Broken pipe'
next_one 'a broken pipe'
expect_code 6 sh -c 'ulimit -f 2000; exec "$@"' sh "$VMABAK" backup "qemu:$qmp" -o a.vmab
next_one 'a full disk'

# A second one meanwhile, which another monitor allows; it must not take the first one for dead.
in_background "$VMABAK" backup "qemu:$qmp" --rate 1M --buffer 16M -o a.vmab
wait_until jobs_run
"$VMABAK" backup "qemu:$asking" -o b.vmab 2>"$TMPDIR/second" && fail "two at once"
expect_text "$TMPDIR/second" 'being backed up by another run'
wait_until jobs_run
kill -TERM $pid
ended_with 143 $pid
next_one 'a second one'

stop_writers
