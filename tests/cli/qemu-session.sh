# A push and a pull from a session of their own have it stand back as a whole from a QEMU in another.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need setsid
grep -q '^/autogroup-[0-9]* nice' /proc/self/autogroup 2>/dev/null || skip "sessions do not count for this kernel"
two_drives
stood_back()
{
	grep -q ' nice 10$' "/proc/$backup/autogroup" 2>/dev/null
}

# stands_back [OPTION]...
stands_back()
{
	setsid "$VMABAK" backup -q --force "qemu:$qmp" "$@" --rate 20M -o a.vmab &
	backup=$!
	wait_until stood_back
	ended_with 0 $backup
}
stands_back
stands_back --pull --nbd-server "$exports" --scratch "$TMPDIR"
