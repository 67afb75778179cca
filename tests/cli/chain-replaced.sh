# What an archive needs is not replaced by it, and what belongs to an archive that is replaced is not believed.
. "$(dirname "$0")/lib.sh"

uuid=01234567-89ab-cdef-0123-456789abcdef
export SOURCE_DATE_EPOCH=1700000000
make_random w.raw 1000000 1
cp w.raw first.raw
expect_code 0 "$VMABAK" backup -q --uuid $uuid -o a.vmab --sums a.vmab.sums root=w.raw
put w.raw 300000 changed
# The same uuid and time, other data, and no new sums.
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid -o a.vmab root=w.raw
[ ! -e a.vmab.sums ] || fail "the sums of the archive that was replaced are still there"
expect_code 0 "$VMABAK" backup -q --parent a.vmab -o b.vmab root=first.raw
expect_code 0 "$VMABAK" restore -q b.vmab -d root=back.raw
same_file first.raw back.raw
# What is beside it and is no sums file stays.
echo notes >c.vmab.sums
expect_code 0 "$VMABAK" backup -q -o c.vmab root=w.raw
expect_code 0 "$VMABAK" backup -q --force -o c.vmab root=w.raw
[ "$(cat c.vmab.sums)" = notes ] || fail "a file of the user's was removed"

# A part of a chain is merged, and a single increment converted: neither takes the place of what they stand on.
put first.raw 700000 again
expect_code 0 "$VMABAK" backup -q --parent b.vmab -o d.vmab root=first.raw
mkdir apart
cp a.vmab apart/kept
for name in a.vmab ./a.vmab; do
	expect_error 2 'is a parent that the new archive needs' "$VMABAK" merge --force d.vmab b.vmab -o $name
	expect_error 2 'is a parent that the new archive needs' "$VMABAK" convert --force d.vmab -o $name
done
same_file apart/kept a.vmab
expect_code 0 "$VMABAK" merge --force d.vmab b.vmab -o d.vmab
expect_code 0 "$VMABAK" restore -q --force d.vmab -d root=back.raw
same_file first.raw back.raw
