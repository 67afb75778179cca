# The fields of verify, backup, convert and restore as JSON.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
truncate -s 2000000 drive.raw
echo text >a.conf
uuid=01234567-89ab-cdef-0123-456789abcdef
written="'n_drives': 1, 'n_configs': 1, 'drives_bytes': 2000000, 'data_bytes': 1003520, \
	'data_clusters': 16, 'zero_clusters': 15, 'uuid': '$uuid'"
expect_code 0 "$VMABAK" backup --json --uuid $uuid -o a.vmab -c a.conf drive.raw
size=$(size_of a.vmab)
expect_json "$out" "d.pop('duration_s') >= 0" "d.pop('written_bytes_per_s') > 0" "d == {'command': 'backup', 'warnings': [], \
	'archive': 'a.vmab', 'format': 'vmab', 'written_bytes': $size, 'exit_code': 0, \
	'drives': [{'name': 'disk0', 'token': None, 'left_out_bytes': 0, 'proof': None}], 'decrypted_drives': [], 'sums': None, 'n_tracked': 0, 'kept_bytes': 0, 'parent_uuid': None, $written}"
[ ! -s "$err" ] || fail "said besides: $(cat "$err")"
expect_code 0 "$VMABAK" convert --json a.vmab -o b.vmab
expect_json "$out" "d.pop('duration_s') >= 0" "d.pop('written_bytes_per_s') > 0" "d == {'command': 'convert', 'warnings': [], \
	'archive': 'b.vmab', 'format': 'vmab', 'written_bytes': $size, 'exit_code': 0, \
	'parent_uuid': None, $written}"
expect_code 0 "$VMABAK" verify --json a.vmab
expect_json "$out" "d['archives'][0].pop('duration_s') >= 0" "d == {'command': 'verify', \
	'warnings': [], 'exit_code': 0, 'archives': [{'archive': 'a.vmab', 'ok': True, \
	'format': 'vmab', 'quick': False, 'data_checksums': True, 'incremental': False, \
	'archive_bytes': $size, $written}]}"
expect_code 0 "$VMABAK" restore --json a.vmab -C back
expect_json "$out" "d.pop('duration_s') >= 0" "d == {'command': 'restore', 'warnings': [], \
	'archive': 'a.vmab', 'archive_bytes': $size, 'written_bytes': 1003520, 'exit_code': 0, 'drives': [{'name': 'disk0', \
	'size_bytes': 2000000, 'target': 'back/disk0.raw', 'excess_bytes': 0}], \
	'configs': [{'name': 'a.conf', 'size_bytes': 5, 'target': 'back/a.conf'}]}"

# Where the archive goes to standard output the object goes to standard error, and nothing else.
expect_code 0 "$VMABAK" backup --json -o - --note x drive.raw
expect_json "$err" "d['archive'] == '-'" "d['exit_code'] == 0"
cp "$out" c.vmab
expect_code 0 "$VMABAK" verify c.vmab
expect_code 3 "$VMABAK" convert --json c.vmab -o - --format vma
expect_json "$err" "len(d['warnings']) == 1" "d['exit_code'] == 3"
expect_code 1 "$VMABAK" backup --json -o - missing.raw
expect_json "$err" "d['error']['code'] == 'system'" "d['exit_code'] == 1"
[ ! -s "$out" ] || fail "a failure went to where the archive goes"
