# The same content gives the same archive, however the file system stores its zeros. Space that is
# set aside but not written counts as a hole until it is read, and then as data.
. "$(dirname "$0")/lib.sh"

need fallocate
make_random some.bin 20000000 1
fallocate -l 64M drive.raw 2>/dev/null || skip "the file system cannot set space aside"
dd if=some.bin of=drive.raw bs=64K seek=20 conv=notrunc status=none
dd if=some.bin of=drive.raw bs=64K seek=500 conv=notrunc status=none
sync drive.raw
cat drive.raw >full.raw
cp --sparse=always drive.raw sparse.raw
sync full.raw sparse.raw
export SOURCE_DATE_EPOCH=1700000000
for ending in vmab vma; do
	for drive in drive full sparse; do
		expect_code 0 "$VMABAK" backup -o $drive.$ending disk0=$drive.raw \
			--uuid 01234567-89ab-cdef-0123-456789abcdef
	done
	same_file full.$ending sparse.$ending
	same_file full.$ending drive.$ending
done
