# What list shows, word for word, and as JSON with the fields of the manual.
. "$(dirname "$0")/lib.sh"

truncate -s 1000000 drive.raw
put drive.raw 500000 text
: >empty.raw
echo 'cores: 2' >vm.conf
export SOURCE_DATE_EPOCH=1700000000 TZ=CET-1
uuid=01234567-89ab-cdef-0123-456789abcdef
expect_code 0 "$VMABAK" backup --uuid $uuid --compress none --note 'a note' -o a.vmab -c vm.conf \
	root=drive.raw empty.raw
expect_code 0 "$VMABAK" list a.vmab
cat >expected <<END
format      VMAB 1
uuid        $uuid
created     2023-11-14 23:13:20 CET
checksums   xxh3-128
complete    end mark found, contents not checked (vmabak verify)
stored      7.5 KiB, for 4.0 KiB of data in 977 KiB
note        a note

DRIVE   NAME     BYTES      SIZE
     1  root   1000000   977 KiB
     2  disk1        0       0 B

CONFIG  NAME     BYTES      SIZE
     1  vm.conf      9       9 B
END
same_file expected "$out"
[ ! -s "$err" ] || fail "said: $(cat "$err")"
expect_code 0 "$VMABAK" list --json a.vmab
expect_json "$out" "d == {'command': 'list', 'warnings': [], 'archive': 'a.vmab', 'format': 'vmab', \
	'filter': None, 'uuid': '$uuid', 'parent_uuid': None, 'created': '2023-11-14T22:13:20Z', \
	'created_ns': 1700000000000000000, 'checksum': 'xxh3-128', 'complete': True, \
	'archive_bytes': $(size_of a.vmab), 'data_bytes': 4096, 'data_clusters': 1, \
	'zero_clusters': 15, 'note': 'a note', 'checkpoint': None, 'parent_checkpoint': None, \
	'drives': [{'name': 'root', 'size_bytes': 1000000, 'token': None, 'left_out_bytes': 0, 'proof': None}, \
	{'name': 'disk1', 'size_bytes': 0, 'token': None, 'left_out_bytes': 0, 'proof': None}], \
	'configs': [{'name': 'vm.conf', 'size_bytes': 9}], 'exit_code': 0}"

# Where only reading all of it could tell whether it is complete, that is said.
expect_code 0 "$VMABAK" backup --no-vma-checksums --uuid $uuid -o a.vma.zst root=drive.raw
expect_code 0 "$VMABAK" list a.vma.zst
expect_text "$out" 'VMA 1, zstd-compressed' 'none of the data' 'unknown'
expect_code 0 "$VMABAK" list --json a.vma.zst
expect_json "$out" "d['complete'] is None" "d['filter'] == 'zstd'" "d['checksum'] == 'none'" \
	"'archive_bytes' not in d" "d['created_ns'] == 1700000000000000000"
expect_code 0 sh -c '"$VMABAK" list - <a.vmab'
expect_text "$out" 'VMAB 1'
