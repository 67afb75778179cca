# An output that takes nothing: the guest overwrites all of its drives all the same, without an error and
# in time. When memory and scratch file are full the backup is given up; when they are not, it waits.
# long: waits for jobs of QEMU
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
mkfifo "$TMPDIR/fifo"
stalled()
{
	sleep 600 <"$TMPDIR/fifo" &
	reader=$!
	on_exit "kill $reader 2>/dev/null"
	in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" \
		"$VMABAK" backup "qemu:$qmp" --buffer 16M -o - --format vma "$@"
	wait_until jobs_run
	for uri in "$uri_A" "$uri_B"; do
		timeout 200 qemu-io -f raw -c 'write -q -P 3 0 32M' -c 'write -q -P 4 4k 100k' "$uri" ||
			fail "the guest's write"
	done
}
stalled --spill 0
wait_until eval '! jobs_run'
kill $reader
ended_with 1 $pid
expect_text "$err" 'are full; --buffer, --spill or --on-full help'
nothing_in_qemu
stalled
kill -0 $pid || fail "it ended: $(cat "$err")"
kill -TERM $pid
ended_with 143 $pid
nothing_in_qemu
