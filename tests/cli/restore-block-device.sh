# A restore to a block device leaves no byte of what was on it, whatever its sectors.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 3000000 1
truncate -s 40000000 drive.raw
make_random some.bin 4096 2
dd if=some.bin of=drive.raw bs=1 seek=20000500 conv=notrunc status=none
for archive in a.vmab a.vma; do
	expect_code 0 "$VMABAK" backup -o $archive drive.raw
done
for sector in 512 4096; do
	# Some more than the drive, as volumes are rounded up; that is zeroed too.
	make_full target.raw 41943040
	loop_device target.raw -b $sector
	for archive in a.vmab a.vma; do
		tr '\0' '\377' </dev/zero | dd of="$loop" bs=1M count=40 iflag=fullblock status=none
		expect_error 2 'is a block device; --force' "$VMABAK" restore $archive -d disk0="$loop"
		cmp -n 41943040 target.raw "$loop" || fail "written without --force"
		expect_code 0 "$VMABAK" restore $archive --force -d disk0="$loop"
		cmp -n 40000000 drive.raw "$loop" || fail "an old byte stayed, sectors of $sector"
		tail -c +40000513 "$loop" | tr -d '\0' | cmp - /dev/null || fail "past the drive"
	done
	rm target.raw
	truncate -s 41943040 target.raw
done
truncate -s 41943040 fixed.raw
loop_device fixed.raw -r
expect_error 2 "$loop: is read-only" "$VMABAK" restore a.vmab --force -d disk0="$loop"
