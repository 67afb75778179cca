# A restore that fails in the middle leaves nothing under any name, nor the folder that it made.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 20000000 1
echo text >a.conf
for archive in a.vmab a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" backup -o $archive -c a.conf drive.raw other=drive.raw
	size=$(size_of $archive)
	cp $archive damaged
	flip damaged $((size * 3 / 4))
	head -c $((size * 3 / 4)) $archive >cut
	mkdir there
	echo keep >there/mine
	for bad in damaged cut; do
		expect_error 4 "$bad: " "$VMABAK" restore $bad -C new
		expect_error 4 ": " "$VMABAK" restore - -C new <$bad
		expect_error 4 "$bad: " "$VMABAK" restore $bad -C there
		expect_error 4 "$bad: " "$VMABAK" restore $bad -C there -d other=target.raw
		expect_error 4 "$bad: " "$VMABAK" convert $bad -o new.vmab
		[ "$(ls -A there)" = mine ] || fail "left: $(ls -A there)"
	done
	rm -r there
	nothing_but a.conf $archive cut damaged drive.raw
	rm $archive
done
# A config that cannot get its name takes back the drives.
expect_code 0 "$VMABAK" backup -o a.vmab -c a.conf drive.raw
mkdir -p there/a.conf
expect_code 2 "$VMABAK" restore a.vmab -C there --force
[ "$(ls -A there)" = a.conf ] || fail "left: $(ls -A there)"
