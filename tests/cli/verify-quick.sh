# --quick finds damage of what is stored; what only decompressing can show is left to a full run.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
for method in zstd none; do
	expect_code 0 "$VMABAK" backup --force --compress $method -o a.vmab drive.raw
	expect_code 0 "$VMABAK" verify --quick a.vmab
	expect_text "$out" 'every stored checksum matches'
	flip a.vmab 500000
	expect_error 4 'a.vmab: damaged at byte ' "$VMABAK" verify --quick a.vmab
	head -c 500000 a.vmab >cut.vmab
	expect_error 4 incomplete "$VMABAK" verify --quick cut.vmab
done
compile bad-vmab-cluster-checksum wrong.vmab
expect_code 0 "$VMABAK" verify --quick wrong.vmab
expect_error 4 'wrong.vmab: damaged at byte ' "$VMABAK" verify wrong.vmab
# A VMA has no checksums of what is stored: it is read in full.
expect_code 0 "$VMABAK" backup -o a.vma drive.raw
flip a.vma 500000
expect_error 4 'a.vma: damaged at byte ' "$VMABAK" verify --quick a.vma
