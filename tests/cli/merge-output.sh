# What a merged archive has of which; where it may go; that extents are copied as they are stored.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 9000448 1
echo one >a.conf
expect_code 0 "$VMABAK" backup -q --note first -o 0.vmab -c a.conf disk=disk.raw
for n in 1 2 3; do
	put disk.raw $((n * 200000)) "$n"
	dd if=/dev/zero of=disk.raw bs=65536 seek=$((n + 10)) count=1 conv=notrunc status=none
	echo $n >a.conf
	expect_code 0 "$VMABAK" backup -q --note "of $n" --parent $((n - 1)).vmab -o $n.vmab -c a.conf disk=disk.raw
done
listed()
{
	expect_code 0 "$VMABAK" list --json "$1"
	cp "$out" "$1.json"
}
for n in 0 1 2 3; do listed $n.vmab; done

# An increment of three: the head of the newest, the parent of the oldest.
expect_code 0 "$VMABAK" merge --json 3.vmab 1.vmab 2.vmab -o m.vmab
expect_json "$out" "d['n_archives'] == 3" "d['parent_uuid'] == json.load(open('0.vmab.json'))['uuid']"
listed m.vmab
expect_json m.vmab.json "all(d[key] == json.load(open('3.vmab.json'))[key] for key in
	('uuid', 'created_ns', 'note', 'drives', 'configs', 'checkpoint'))" "d['zero_clusters'] == 3" "d['data_clusters'] == 3"
expect_code 0 "$VMABAK" config m.vmab
same_file "$out" a.conf
# Named in part, the one between them is found.
expect_code 0 "$VMABAK" merge -q 3.vmab 1.vmab -o n.vmab --threads 1
expect_code 0 cmp m.vmab n.vmab
rm n.vmab

# Full; the extents of the oldest that nothing superseded are as they were stored, and others are not.
expect_code 0 "$VMABAK" merge --json 3.vmab -o f.vmab
expect_json "$out" "d['n_archives'] == 4" "d['parent_uuid'] is None" "d['copied_clusters'] > 64" \
	"d['copied_clusters'] < d['data_clusters']"
expect_code 0 "$VMABAK" merge -v 3.vmab -o g.vmab --compress zstd:3
expect_text "$err" 'to be merged: 3.vmab' 'to be merged: ./0.vmab'
expect_code 0 "$VMABAK" merge --json --force 3.vmab -o g.vmab --compress none
expect_json "$out" "d['copied_clusters'] == 0"
expect_code 0 "$VMABAK" diff f.vmab g.vmab
expect_code 0 "$VMABAK" verify -q f.vmab g.vmab
expect_code 0 "$VMABAK" restore -q f.vmab -C back
same_file back/disk.raw disk.raw
rm -r back g.vmab

# VMA, also by convert; to standard output.
expect_code 3 "$VMABAK" merge 3.vmab -o f.vma
expect_text "$err" 'note is left out'
expect_code 0 "$VMABAK" restore -q f.vma -C back
same_file back/disk.raw disk.raw
rm -r back f.vma
expect_error 1 '1.vmab: is incremental, and VMA cannot hold that' "$VMABAK" merge 3.vmab 2.vmab 1.vmab -o f.vma
"$VMABAK" merge -q 3.vmab -o - | cmp - f.vmab || fail "standard output"

# Over itself: the newest may be replaced, once the new one is whole; its parents may not.
expect_error 2 'exists already' "$VMABAK" merge 3.vmab -o 3.vmab
cp 3.vmab kept
for n in 0 1 2; do
	expect_error 2 "$n.vmab: is one of the archives" "$VMABAK" merge --force 3.vmab -o $n.vmab
	ln $n.vmab link
	expect_error 2 'link: is one of the archives' "$VMABAK" merge --force 3.vmab --format vmab -o link
	rm link
done
expect_code 2 sh -c '"$VMABAK" merge 3.vmab -o - 1<>3.vmab'
same_file 3.vmab kept
mkdir short
head -c 3000 0.vmab >short/0.vmab
cp 1.vmab 2.vmab 3.vmab short
expect_code 4 "$VMABAK" merge --force short/3.vmab -o short/3.vmab
expect_text "$err" 'short/0.vmab' incomplete
same_file short/3.vmab kept
expect_code 0 "$VMABAK" merge -q --force 3.vmab 2.vmab -o 3.vmab
# The sums beside it are those of the archive that is there now, with another parent.
expect_code 0 "$VMABAK" sums -q 3.vmab -o made.sums
same_file made.sums 3.vmab.sums
rm made.sums
mv 2.vmab short
expect_code 0 "$VMABAK" restore -q 3.vmab -C back
same_file back/disk.raw disk.raw
rm -r back short

# Two archives with one uuid: the full one is taken, or the one whose parent is there.
put disk.raw 100 x
expect_code 0 "$VMABAK" backup -q --parent 3.vmab -o 4.vmab disk=disk.raw
mkdir both
cp 4.vmab both
cp kept both/3.vmab
cp f.vmab both/zz.vmab
expect_code 0 "$VMABAK" restore -q both/4.vmab -C back
same_file back/disk.raw disk.raw
rm both/zz.vmab
cp m.vmab both/m.vmab
cp 0.vmab both
rm -r back
expect_code 0 "$VMABAK" restore -q both/4.vmab -C back
same_file back/disk.raw disk.raw

# A copy that was cut short is not taken for it.
cp both/0.vmab kept
for copy in aa zz; do head -c 100000 both/0.vmab >both/$copy.vmab; done
rm -r back
expect_code 0 "$VMABAK" restore -q both/4.vmab -C back
same_file back/disk.raw disk.raw
