# Several drives and configs, with and without names, each under its own.
. "$(dirname "$0")/lib.sh"

make_random one.raw 3000000 1
make_random two.raw 1 2
truncate -s 70000000 three.raw
put three.raw 65000000 'in the middle'
cp one.raw ./four=4.raw
echo a >a.conf
: >empty.conf
make_random b.bin 60000 4
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive -c a.conf -c empty.conf -c ./b.bin -c fw=a.conf \
		root=one.raw two.raw ./three.raw ./four=4.raw
	expect_code 0 "$VMABAK" list $archive
	expect_text "$out" '1  root ' '2  disk1' '3  disk2' '4  disk3' a.conf empty.conf b.bin fw
	expect_code 0 "$VMABAK" restore --no-sync $archive -C back
	for pair in one:root three:disk2 four=4:disk3; do
		cmp -n "$(size_of "${pair%:*}.raw")" "${pair%:*}.raw" "back/${pair#*:}.raw" ||
			fail "$pair differs"
	done
	cmp -n 1 two.raw back/disk1.raw || fail "two differs"
	same_file a.conf back/a.conf
	same_file a.conf back/fw
	same_file empty.conf back/empty.conf
	same_file b.bin back/b.bin
	[ "$(ls -A back | wc -l)" = 8 ] || fail "more or less than 8 files: $(ls -A back)"
	rm -r back
done
