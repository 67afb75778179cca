# Our .vma protects its data; without checksums, or from elsewhere, that is said.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
truncate -s 1000448 drive.raw
expect_code 0 "$VMABAK" backup -o with.vma drive.raw
expect_code 0 "$VMABAK" backup -o without.vma --no-vma-checksums drive.raw
expect_code 0 "$VMABAK" list with.vma
expect_text "$out" xxh3-64
expect_code 0 "$VMABAK" list without.vma
expect_text "$out" 'none of the data'
expect_code 0 "$VMABAK" verify --json with.vma without.vma
expect_json "$out" "[a['data_checksums'] for a in d['archives']] == [True, False]"
expect_code 0 "$VMABAK" verify without.vma
expect_text "$out" 'its data has no checksums'
expect_code 0 "$VMABAK" restore without.vma -C back
same_file drive.raw back/disk0.raw

flip with.vma -5000
expect_error 4 'with.vma: damaged at byte ' "$VMABAK" verify with.vma
expect_error 4 'with.vma: damaged at byte ' "$VMABAK" restore with.vma -C bad
expect_error 4 'with.vma: damaged at byte ' "$VMABAK" convert with.vma -o bad.vmab
[ ! -e bad ] && [ ! -e bad.vmab ] || fail "something was left"
# Nobody can find this one; it comes out as it is.
flip without.vma -5000
expect_code 0 "$VMABAK" verify without.vma
expect_text "$out" 'its data has no checksums'
