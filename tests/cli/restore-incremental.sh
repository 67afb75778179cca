# An incremental archive is no whole one: not restored, nor made a VMA; verified and shown as such.
. "$(dirname "$0")/lib.sh"

compile good-vmab-incremental a.vmab
expect_code 0 "$VMABAK" list a.vmab
expect_text "$out" 'parent '
expect_code 0 "$VMABAK" list --json a.vmab
expect_json "$out" "len(d['parent_uuid']) == 36" "d['parent_uuid'] != d['uuid']"
expect_code 0 "$VMABAK" verify a.vmab
expect_text "$out" incremental
expect_error 1 'its parent' "$VMABAK" restore a.vmab -C back
expect_error 1 'its parent' "$VMABAK" convert a.vmab -o b.vma
expect_error 1 'incremental' sh -c '"$VMABAK" convert - -o b.vma <a.vmab'
nothing_but a.vmab
expect_code 0 "$VMABAK" convert a.vmab -o b.vmab --compress none
expect_code 0 "$VMABAK" list --json a.vmab
cp "$out" a.json
expect_code 0 "$VMABAK" list --json b.vmab
expect_json "$out" "all(d[key] == json.load(open('a.json'))[key] \
	for key in ('uuid', 'parent_uuid', 'drives', 'data_clusters', 'zero_clusters'))"
