# QEMU's job is done, and the output takes nothing: the first signal ends the backup.
# long: waits for jobs of QEMU
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
mkfifo "$TMPDIR/fifo"
sleep 600 <"$TMPDIR/fifo" &
reader=$!
on_exit "kill $reader 2>/dev/null"
# Its data takes half of the buffer, and the zeros beside it wait for the rest.
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" \
	"$VMABAK" backup "qemu:$qmp" --buffer 16M -d B -o - --format vma
job_done()
{
	ask_qmp query-jobs | grep -q '"concluded"'
}
wait_until jobs_run
# What the guest overwrites goes first, so that nothing is left to do for the job.
timeout 200 qemu-io -f raw -c 'write -q -P 3 0 32M' "$uri_B" || fail "the guest's write"
wait_until job_done
sleep 1
kill -INT $pid
ended_with 130 $pid
nothing_in_qemu
