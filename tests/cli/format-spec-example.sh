# The archive of the example in the spec is good, holds what the text says, and is what backup makes.
. "$(dirname "$0")/lib.sh"

expect_code 0 "$PYTHON" "$CLI/spec_example.py" "$SRC/spec/vmab.md" example.vmab
[ "$(size_of example.vmab)" = 11776 ] || fail "has $(size_of example.vmab) bytes"
truncate -s 200704 drive.raw
printf '\125\252' | dd of=drive.raw bs=1 seek=510 conv=notrunc status=none
put drive.raw 196608 hello
printf 'cores: 2\n' >demo.conf

expect_code 0 "$VMABAK" verify example.vmab
expect_code 0 "$VMABAK" verify --quick example.vmab
expect_code 0 "$VMABAK" list --json example.vmab
expect_json "$out" "d['drives'] == [{'name': 'disk0', 'size_bytes': 200704, 'token': None, 'left_out_bytes': 0, 'proof': None}]" \
	"d['configs'] == [{'name': 'demo.conf', 'size_bytes': 9}]" \
	"d['created_ns'] == 1700000000 * 10**9" "d['archive_bytes'] == 11776" \
	"(d['data_clusters'], d['zero_clusters'], d['data_bytes']) == (2, 2, 8192)" \
	"d['uuid'] == '00112233-4455-6677-8899-aabbccddeeff'"
expect_code 0 "$VMABAK" restore example.vmab -C back
same_file drive.raw back/disk0.raw
same_file demo.conf back/demo.conf
"$PYTHON" -c 'import xxhash, zstandard' 2>/dev/null && {
	expect_code 0 "$PYTHON" "$SRC/spec/restore.py" example.vmab python
	same_file drive.raw python/disk0.raw
	same_file demo.conf python/demo.conf
}

# The same bytes, whether the zeros are holes or not.
cat drive.raw >full.raw
for drive in drive.raw full.raw; do
	expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --force -o ours.vmab \
		--compress none --uuid 00112233-4455-6677-8899-aabbccddeeff -c demo.conf disk0=$drive
	same_file example.vmab ours.vmab
done
