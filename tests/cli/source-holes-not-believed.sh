# With --no-holes every drive is read in full, whatever its file system or image says of holes.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 3000000 1
truncate -s 9000448 drive.raw
# lying COMMAND...: the file system says that the whole file is a hole.
lying()
{
	strace -f -qq -o /dev/null -P "$PWD/drive.raw" -e trace=lseek -e inject=lseek:error=ENXIO "$@"
}
expect_code 0 lying "$VMABAK" backup -o lost.vmab drive.raw
expect_code 0 "$VMABAK" restore lost.vmab
! cmp -s drive.raw disk0.raw || skip "strace cannot change what lseek says"
rm disk0.raw
expect_code 0 lying "$VMABAK" backup --no-holes -o a.vmab drive.raw
expect_code 0 "$VMABAK" restore a.vmab
same_file drive.raw disk0.raw
# Zeros that were read are left out all the same.
[ "$(size_of a.vmab)" -lt 3200000 ] || fail "zeros are stored: $(size_of a.vmab) bytes"

expect_error 2 '--no-holes is for' "$VMABAK" backup --no-holes -o b.vmab serve:socket
if command -v qemu-img >/dev/null && "$VMABAK" --version | grep -q libnbd=yes; then
	qemu-img convert -O qcow2 drive.raw drive.qcow2
	expect_code 0 "$VMABAK" backup --no-holes -o c.vmab drive.qcow2
	rm disk0.raw
	expect_code 0 "$VMABAK" restore c.vmab
	same_file drive.raw disk0.raw
fi
