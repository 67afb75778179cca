# A block device is a drive like any other, and a restore to one gives it all.
. "$(dirname "$0")/lib.sh"

need_root
make_image drive.raw 24
loop_device drive.raw
source=$loop
truncate -s 24M target.raw
loop_device target.raw
for archive in a.vmab a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" backup -o $archive root="$source"
	dd if=/dev/urandom of="$loop" bs=1M count=24 status=none
	expect_code 0 "$VMABAK" restore --force $archive -d root="$loop"
	cmp "$source" "$loop" || fail "the devices differ"
	dd if=/dev/urandom of="$loop" bs=1M count=24 status=none
	expect_code 0 sh -c "cat $archive | \"\$VMABAK\" restore --force - -d root=$loop"
	cmp "$source" "$loop" || fail "the devices differ, from a pipe"
done
e2fsck -fn "$loop" >"$out" 2>&1 || fail "e2fsck: $(cat "$out")"
nothing_but a.vma a.vma.zst a.vmab drive.raw target.raw
