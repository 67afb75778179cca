# The reader of the spec, in another language, restores all that we write to the same bytes.
. "$(dirname "$0")/lib.sh"

need_python xxhash zstandard
make_image drive.raw 8
make_random odd.raw 65537 2
truncate -s 5000000 holes.raw
put holes.raw 4000000 x
echo text >a.conf
read_back()
{
	expect_code 0 "$PYTHON" "$SRC/spec/restore.py" "$1" back
	same_file drive.raw back/root.raw
	for name in odd:disk1 holes:disk2; do
		cmp -n "$(size_of ${name%:*}.raw)" ${name%:*}.raw back/${name#*:}.raw ||
			fail "${name%:*} differs"
	done
	same_file a.conf back/a.conf
	rm -r back
}
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive -c a.conf root=drive.raw odd.raw holes.raw
	read_back $archive
	expect_code 0 "$VMABAK" convert a.vmab -o converted-$archive
	read_back converted-$archive
done
for options in '--compress none' '--compress zstd:19' '--record-size 1M' '--threads 7'; do
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" backup $options -o b.vmab -c a.conf root=drive.raw odd.raw holes.raw
	read_back b.vmab
	rm b.vmab
done
expect_code 0 "$VMABAK" backup --no-vma-checksums -o c.vma -c a.conf root=drive.raw odd.raw holes.raw
read_back c.vma
