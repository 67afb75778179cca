# The uuid and the time are those asked for, else a random one and now.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
uuid=01234567-89ab-cdef-0123-456789abcdef
for archive in a.vmab a.vma; do
	expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --uuid $uuid -o $archive drive.raw
	expect_code 0 "$VMABAK" list $archive
	expect_text "$out" $uuid '2023-11-14 22:13:20 '
	expect_code 0 "$VMABAK" list --json $archive
	expect_json "$out" "d['uuid'] == '$uuid'" "d['created'] == '2023-11-14T22:13:20Z'" \
		"d['created_ns'] == 1700000000 * 10**9"
done
expect_code 0 "$VMABAK" backup -o b.vmab --uuid 01234567-89AB-CDEF-0123-456789ABCDEF drive.raw
expect_code 0 "$VMABAK" list b.vmab
expect_text "$out" $uuid

before=$(date +%s)
expect_code 0 "$VMABAK" backup -o c.vmab --json drive.raw
cp "$out" c.json
expect_code 0 "$VMABAK" backup -o d.vmab --json drive.raw
expect_json "$out" "d['uuid'] != json.load(open('c.json'))['uuid']" "d['uuid'][14] == '4'"
expect_code 0 "$VMABAK" list --json c.vmab
expect_json "$out" "$before <= d['created_ns'] // 10**9 <= $(date +%s)"
