# An archive that was cut short, anywhere, is incomplete: list says so where it can, verify always.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 10000000 1
truncate -s 30000128 drive.raw
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive drive.raw
	size=$(size_of $archive)
	for cut in 1 511 512 513 1024 5000 5000000 $((size / 512 * 512 / 2)); do
		head -c $((size - cut)) $archive >cut
		expect_error 4 incomplete "$VMABAK" verify cut
		expect_code 4 sh -c '"$VMABAK" verify - <cut'
		expect_error 4 incomplete "$VMABAK" restore cut -C back
		if [ $archive = a.vmab ]; then
			expect_code 4 "$VMABAK" list cut
			expect_text "$out" 'complete    NO' disk0
			expect_text "$err" incomplete
			expect_code 4 "$VMABAK" list --json cut
			expect_json "$out" "d['complete'] is False" "d['error']['code'] == 'incomplete'" \
				"d['drives'][0]['name'] == 'disk0'"
		else
			expect_code 0 "$VMABAK" list cut
			expect_text "$out" unknown
		fi
	done
done
[ ! -e back ] || fail "a folder was left"
# A VMA that ends between two extents has no sign of it but that clusters are missing.
expect_code 0 "$VMABAK" backup --no-vma-checksums -o b.vma drive.raw
head -c 12800 b.vma >cut
expect_error 4 incomplete "$VMABAK" verify cut
# Two archives, one after the other, are not one.
cat a.vmab a.vmab >twice
expect_code 4 "$VMABAK" verify twice
