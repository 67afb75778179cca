# Holes stay holes, and zeros that were written become holes.
# long: reads many holes
. "$(dirname "$0")/lib.sh"

truncate -s 128M holes.raw
make_random some.bin 1000000 1
for at in 0 40000000 120000000; do
	dd if=some.bin of=holes.raw bs=4096 seek=$((at / 4096)) conv=notrunc status=none
done
head -c 20480000 /dev/zero >zeros.raw
truncate -s 1M probe
[ "$(allocated probe)" = 0 ] || skip "the file system has no holes"
for archive in a.vmab a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" backup -o $archive holes.raw zeros.raw
	[ "$(size_of $archive)" -lt 4000000 ] || fail "$archive has $(size_of $archive) bytes"
	expect_code 0 "$VMABAK" restore $archive -C back
	same_file holes.raw back/disk0.raw
	same_file zeros.raw back/disk1.raw
	# 3 MB of data; a file system needs a little for itself.
	[ "$(allocated back/disk0.raw)" -lt 3400 ] || fail "$(allocated back/disk0.raw) KiB"
	[ "$(allocated back/disk1.raw)" -lt 64 ] || fail "$(allocated back/disk1.raw) KiB for zeros"
	rm -r back
done
