# A drive that becomes smaller while it is read is an error, whether data or a hole is cut off.
. "$(dirname "$0")/lib.sh"

for archive in a.vmab a.vma; do
	for kind in data hole; do
		make_random drive.raw 25000000 1
		[ $kind = data ] || truncate -s 64M drive.raw
		in_background "$VMABAK" backup --threads 2 --rate 10M -o $archive drive.raw
		wait_until has_part . 100000
		truncate -s 24000000 drive.raw
		ended_with 1 $pid
		expect_text "$err" 'drive.raw: ends at byte 24000000' 'but had'
		[ "$(wc -l <"$err")" = 1 ] || fail "more than a line: $(cat "$err")"
		nothing_but drive.raw
	done
done
# What went into a pipe before is no archive.
make_random drive.raw 25000000 1
in_background "$VMABAK" backup --threads 2 --rate 10M -o - drive.raw
wait_until test -s "$out"
truncate -s 24000000 drive.raw
ended_with 1 $pid
cp "$out" partial
expect_code 4 "$VMABAK" verify partial
