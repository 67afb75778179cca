# Donors fill what is lost, and only with what has the checksum that the damaged archive names.
. "$(dirname "$0")/lib.sh"

make_random a.raw 3000000 1
cp a.raw old.raw
for archive in a.vmab a.vma; do
	"$VMABAK" backup -q --compress none -o $archive root=a.raw
	# two clusters of one extent are bad; the image has changed in one of them since
	flip $archive 300000
	flip $archive 700000
	expect_code 5 "$VMABAK" salvage --json $archive -C "lost $archive"
	expect_json "$out" 'd["drives"][0]["lost_bytes"] == 131072' 'd["drives"][0]["donated_bytes"] == 0'
	at=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["drives"][0]["lost"][1]["offset"])' "$out")
	cp a.raw live.raw
	flip live.raw $((at + 5))
	expect_code 5 "$VMABAK" salvage --json $archive --donor root=live.raw -C "one $archive"
	expect_json "$out" 'd["drives"][0]["lost_bytes"] == 65536' 'd["drives"][0]["donated_bytes"] == 65536' \
		"d['drives'][0]['lost'] == [{'offset': $at, 'size_bytes': 65536}]"
	# another has that one: an archive of it, whose drive has the same name
	"$VMABAK" backup -q -o older.vmab root=old.raw
	expect_code 0 "$VMABAK" salvage $archive --donor root=live.raw --donor older.vmab -C "both $archive"
	cmp -n 3000000 a.raw "both $archive/root.raw" || fail "the donors gave something else"
	rm older.vmab
	# a drive of another name gives nothing; one by number does
	"$VMABAK" backup -q -o other.vmab other=old.raw
	expect_code 5 "$VMABAK" salvage $archive --donor other.vmab -C "other $archive"
	expect_text "$out" '128 KiB lost'
	rm other.vmab
	expect_code 0 "$VMABAK" salvage $archive --donor @1=old.raw -C "number $archive"
done

# without checksums nothing can be asked for
"$VMABAK" backup -q --no-vma-checksums -o plain.vma root=a.raw
head -c 2000000 plain.vma >cut.vma
expect_code 5 "$VMABAK" salvage --json cut.vma --donor root=old.raw -C plain
expect_json "$out" 'd["drives"][0]["donated_bytes"] == 0' 'd["drives"][0]["lost_bytes"] > 0'

# a donor that is damaged gives what it has, and that is told
"$VMABAK" backup -q --compress none -o half.vmab root=old.raw
head -c 2000000 half.vmab >cut.vmab
expect_error 1 'nothing.vmab' "$VMABAK" salvage a.vmab --donor nothing.vmab -C y
expect_error 2 "--donor: 'data=old.raw': no such drive" "$VMABAK" salvage a.vmab --donor data=old.raw -C y
expect_code 3 "$VMABAK" salvage a.vmab --donor cut.vmab -C warned
expect_text "$err" 'warning: donor cut.vmab: used only in part: incomplete'
same_file a.raw warned/root.raw
[ ! -e y ] || fail "a folder is left of a run that failed"
