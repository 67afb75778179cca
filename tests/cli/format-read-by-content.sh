# The name of an archive says nothing to a reader.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100000 1
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive drive.raw
	for name in x.vma x.vmab x.vma.gz x.txt; do
		cp $archive $name
		expect_code 0 "$VMABAK" verify $name
		expect_code 0 "$VMABAK" list --json $name
		case $archive in
		*.vmab) expect_json "$out" "d['format'] == 'vmab'" "d['filter'] is None" ;;
		*.vma) expect_json "$out" "d['format'] == 'vma'" "d['filter'] is None" ;;
		*.zst) expect_json "$out" "d['format'] == 'vma'" "d['filter'] == 'zstd'" ;;
		*.gz) expect_json "$out" "d['format'] == 'vma'" "d['filter'] == 'gzip'" ;;
		esac
	done
done
# What is no archive is told so, by its first byte.
: >empty
echo 'no archive at all' >text
for name in empty text drive.raw; do
	code=1 words=$name:
	[ $name != empty ] || code=4 words='empty: incomplete at byte 0'
	expect_error $code "$words" "$VMABAK" list $name
	expect_error $code "$words" "$VMABAK" verify $name
	expect_error $code "$words" "$VMABAK" restore $name -C back
done
[ ! -e back ] || fail "a folder was made"
