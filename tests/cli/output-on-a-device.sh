# An archive does not go to a block device, where what was there before would follow it; its bytes that
# somebody put there otherwise are an archive with something behind it.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 300000 1
make_full device.raw 4194304
cp device.raw before
loop_device device.raw
for format in vmab vma; do
	expect_error 2 'is a block device' "$VMABAK" backup -o "$loop" --format $format drive.raw
	expect_error 2 'is a block device' "$VMABAK" backup --force -o "$loop" --format $format drive.raw
done
same_file before device.raw
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
dd if=a.vmab of="$loop" bs=64K conv=notrunc status=none
expect_code 4 "$VMABAK" verify "$loop"
head -c "$(size_of a.vmab)" "$loop" | "$VMABAK" verify - || fail "its bytes alone"
