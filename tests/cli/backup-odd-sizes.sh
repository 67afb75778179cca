# Drives of any size come back; sizes in VMA are multiples of 512, and the rest is zeros.
. "$(dirname "$0")/lib.sh"

set --
for size in 1 511 512 513 4095 4096 4097 65535 65536 65537 131073 4194304 4194305; do
	make_random $size.raw $size $size
	set -- "$@" b$size=$size.raw
done
expect_code 0 "$VMABAK" backup -o a.vmab "$@"
expect_code 0 "$VMABAK" restore --no-sync a.vmab -C vmab
for archive in a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" backup -v -o $archive "$@"
	expect_text "$err" 'drive b513: stored as 1024 bytes'
	expect_code 0 "$VMABAK" verify $archive
	expect_code 0 "$VMABAK" restore --no-sync $archive -C ${archive#a.}
done
for drive; do
	size=${drive#*=} size=${size%.raw}
	same_file $size.raw vmab/b$size.raw
	cp $size.raw rounded
	truncate -s $(((size + 511) / 512 * 512)) rounded
	same_file rounded vma/b$size.raw
	same_file rounded vma.zst/b$size.raw
done
# The same with nothing but zeros.
truncate -s 65537 zeros.raw
for archive in z.vmab z.vma; do
	expect_code 0 "$VMABAK" backup -o $archive zeros.raw
	expect_code 0 "$VMABAK" restore --no-sync $archive -C $archive.d
	cmp -n 65537 zeros.raw $archive.d/disk0.raw || fail "$archive differs"
	expect_code 0 "$VMABAK" list --json z.vmab
	expect_json "$out" "d['zero_clusters'] == 2" "d['data_clusters'] == 0"
done
