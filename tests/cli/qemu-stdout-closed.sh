# Where standard output is closed, the monitor's socket or a drive does not become it: an archive would go there.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
truncate -s 1M c.raw
for source in "qemu:$qmp" c.raw; do
	expect_error 1 'standard output: writing at byte 0: Bad file descriptor' \
		sh -c 'exec timeout 200 "$@" >&-' sh "$VMABAK" backup "$source" -q -o -
done
nothing_in_qemu
expect_code 0 "$VMABAK" backup "qemu:$qmp" -q -o next.vmab
