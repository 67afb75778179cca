# -d picks drives, and sends them where they are wanted; configs come with all drives only.
. "$(dirname "$0")/lib.sh"

make_random one.raw 100000 1
make_random two.raw 200000 2
make_random three.raw 300000 3
echo text >a.conf
expect_code 0 "$VMABAK" backup -o a.vmab -c a.conf one=one.raw two=two.raw three=three.raw
mkdir other

expect_code 0 "$VMABAK" restore a.vmab -C b -d two
[ "$(ls -A b)" = two.raw ] || fail "restored $(ls -A b)"
same_file two.raw b/two.raw
expect_code 0 "$VMABAK" restore a.vmab -C c -d one -d three="other/x y=z" --configs
[ "$(ls -A c | tr '\n' ' ')" = 'a.conf one.raw ' ] || fail "restored $(ls -A c)"
same_file one.raw c/one.raw
same_file three.raw 'other/x y=z'
expect_code 0 "$VMABAK" restore a.vmab -C d -d @2 -d '@3=other/three'
same_file two.raw d/two.raw
same_file three.raw other/three
# With targets elsewhere alone no folder is made.
expect_code 0 "$VMABAK" restore a.vmab -C e -d one=other/one
[ ! -e e ] || fail "a folder for nothing"
expect_code 0 "$VMABAK" restore a.vmab -C f --no-configs
[ "$(ls -A f | tr '\n' ' ')" = 'one.raw three.raw two.raw ' ] || fail "restored $(ls -A f)"
# Options that exclude each other are refused before the archive is looked at.
expect_code 2 "$VMABAK" restore missing.vmab --configs --no-configs
expect_text "$err" 'exclude each other'
# As JSON: what went where.
expect_code 0 "$VMABAK" restore --json a.vmab -C g -d one -d two=other/two --configs
expect_json "$out" "[(r['name'], r['target'], r['size_bytes']) for r in d['drives']] == \
	[('one', 'g/one.raw', 100000), ('two', 'other/two', 200000)]" \
	"d['configs'] == [{'name': 'a.conf', 'size_bytes': 5, 'target': 'g/a.conf'}]" \
	"0 < d['archive_bytes'] <= $(size_of a.vmab)"
