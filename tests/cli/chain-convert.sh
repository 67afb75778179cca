# An increment becomes a full VMA with its parents; given parents are merged into a VMAB; without them it stays one.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 1000448 1
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw
for n in 1 2; do
	put disk.raw $((n * 200000)) "$n"
	expect_code 0 "$VMABAK" backup -q --parent $((n - 1)).vmab -o $n.vmab disk=disk.raw
done
for name in a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" convert --json 2.vmab -o $name
	expect_json "$out" "d['parent_uuid'] is None" "d['command'] == 'convert'"
	expect_code 0 "$VMABAK" restore -q $name -C back
	same_file back/disk.raw disk.raw
	rm -r back
done
expect_code 0 "$VMABAK" convert -q 2.vmab 1.vmab -o b.vma
same_file a.vma b.vma
expect_code 0 "$VMABAK" convert --json 2.vmab -o one.vmab --compress none
expect_json "$out" "d['parent_uuid'] is not None" "d['data_clusters'] == 1"
expect_code 0 "$VMABAK" convert --json 2.vmab 1.vmab -o two.vmab
expect_json "$out" "d['parent_uuid'] is not None" "d['data_clusters'] == 2"
expect_code 0 "$VMABAK" convert -q 2.vmab 1.vmab 0.vmab -o all.vmab
expect_code 0 "$VMABAK" merge -q 2.vmab -o same.vmab
same_file all.vmab same.vmab
mkdir alone
cp 2.vmab alone
expect_error 1 'alone/2.vmab: its parent' "$VMABAK" convert alone/2.vmab -o c.vma
expect_error 1 'name its parents' sh -c '"$VMABAK" convert - -o c.vma <2.vmab'
expect_code 0 sh -c '"$VMABAK" convert -q 2.vmab - 0.vmab -o c.vma <1.vmab'
same_file a.vma c.vma
expect_error 2 'only the name of the newest' "$VMABAK" convert --force 2.vmab 1.vmab -o 1.vmab
expect_error 2 'VMA archive' "$VMABAK" convert a.vma 1.vmab -o d.vmab
flip 0.vmab 700
expect_code 4 "$VMABAK" convert --force 2.vmab -o c.vma
expect_text "$err" '0.vmab: damaged'
same_file a.vma c.vma
