# Without qemu-nbd images are refused, with a word on what to install; raw drives need none.
. "$(dirname "$0")/lib.sh"

need_feature libnbd
make_random drive.raw 100000 1
make_random disk.qcow2 100000 2
mkdir "$TMPDIR/bin"
without()
{
	expect_error 1 "$1" env PATH="$TMPDIR/bin" "$VMABAK" backup -o a.vmab "$2"
	nothing_but disk.qcow2 drive.raw
}
without 'install qemu-utils' disk.qcow2
without 'install qemu-utils' drive.raw,format=vmdk
expect_code 0 env PATH="$TMPDIR/bin" "$VMABAK" backup -o a.vmab drive.raw
rm a.vmab
rmdir "$TMPDIR/bin"
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"

# A qemu-nbd that cannot read the image: what it says is passed on.
need qemu-nbd
expect_error 1 'disk.qcow2: ' "$VMABAK" backup -o a.vmab disk.qcow2
expect_text "$err" qcow2
expect_error 2 'drive.raw: ' "$VMABAK" backup -o a.vmab drive.raw,format=nosuch
expect_error 2 format "$VMABAK" backup -o a.vmab 'drive.raw,format=x/y'
nothing_but disk.qcow2 drive.raw
