# A drive that becomes smaller while it is read is an error, whether data or a hole is cut off.
. "$(dirname "$0")/lib.sh"

# shrink SIZE ARCHIVE: to that size while the archive is written.
shrink()
{
	in_background "$VMABAK" backup --threads 2 --rate 40M -o "$2" drive.raw
	if [ "$2" = - ]; then
		wait_until test -s "$out"
	else
		wait_until has_part . 100000
	fi
	truncate -s "$1" drive.raw
	ended_with 1 $pid
	expect_text "$err" "drive.raw: ends at byte $1, but had"
	[ "$(wc -l <"$err")" = 1 ] || fail "more than a line: $(cat "$err")"
}
for archive in a.vmab a.vma; do
	make_random drive.raw 60000000 1
	shrink 59000000 $archive
	nothing_but drive.raw
	# The data is all there, and it was the end of the hole that was cut.
	truncate -s 200000000 drive.raw
	shrink 100000000 $archive
	nothing_but drive.raw
done
# What went into a pipe before is no archive.
shrink 50000000 -
cp "$out" partial
expect_code 4 "$VMABAK" verify partial
