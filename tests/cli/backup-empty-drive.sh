# VMAB holds drives of no bytes, and archives of configs alone. In VMA a drive of size 0 is none.
. "$(dirname "$0")/lib.sh"

: >empty.raw
make_random full.raw 5000 1
echo text >a.conf
expect_code 0 "$VMABAK" backup -o a.vmab empty.raw full.raw
expect_code 0 "$VMABAK" verify a.vmab
expect_code 0 "$VMABAK" restore a.vmab -C back
same_file empty.raw back/disk0.raw
same_file full.raw back/disk1.raw

expect_code 0 "$VMABAK" backup -o configs.vmab -c a.conf
expect_code 0 "$VMABAK" backup -o configs.vma -c a.conf
for archive in configs.vmab configs.vma; do
	expect_code 0 "$VMABAK" verify $archive
	expect_code 0 "$VMABAK" restore $archive -C $archive.d
	same_file a.conf $archive.d/a.conf
	[ "$(ls -A $archive.d)" = a.conf ] || fail "more than the config"
done

expect_error 2 disk0 "$VMABAK" backup -o a.vma empty.raw full.raw
expect_error 2 disk0 "$VMABAK" convert a.vmab -o a.vma
[ ! -e a.vma ] || fail "a.vma was created"
