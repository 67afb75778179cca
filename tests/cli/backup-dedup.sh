# With --dedup the unchanged parts of a drive give the same bytes in each archive, in large pieces.
. "$(dirname "$0")/lib.sh"

make_random one.raw 20000000 1
truncate -s 150000000 one.raw
make_random other.raw 3000000 2
cp other.raw end.bin
dd if=end.bin of=one.raw bs=65536 seek=2000 conv=notrunc status=none
# Overwritten, zeroed, and written where nothing was.
cp --sparse=always one.raw two.raw
put two.raw 5000000 'some other bytes'
dd if=/dev/zero of=two.raw bs=65536 seek=200 count=3 conv=notrunc status=none
dd if=end.bin of=two.raw bs=65536 seek=600 count=2 conv=notrunc status=none
dd if=end.bin of=two.raw bs=65536 seek=1100 count=9 conv=notrunc status=none

# extents A B: how many of B's are in A, how many are not, and their bytes.
extents()
{
	"$PYTHON" -c 'import sys
def extents(name):
    data = open(name, "rb").read()
    at, found = int.from_bytes(data[56:60], "big"), []
    while at < len(data):
        size = 512 + 4096 * int.from_bytes(data[at + 6:at + 8], "big")
        assert data[at:at + 4] == b"VMAE"
        found.append(data[at:at + size])
        at += size
    return found
before = set(extents(sys.argv[1]))
new = [extent for extent in extents(sys.argv[2]) if extent not in before]
print(len(extents(sys.argv[2])) - len(new), len(new), sum(map(len, new)))' "$1" "$2"
}

for options in '' --no-vma-checksums; do
	# shellcheck disable=SC2086 # words
	for drive in one two; do
		expect_code 0 "$VMABAK" backup --force --dedup $options -o $drive.vma root=$drive.raw other=other.raw
		expect_code 0 "$VMABAK" verify --json $drive.vma
		expect_code 0 "$VMABAK" backup --force $options -o plain-$drive.vma root=$drive.raw other=other.raw
	done
	# Of 4 MiB in one place and three elsewhere: 5 windows with data and 5 with zeros are others.
	read -r same new bytes <<-END
		$(extents one.vma two.vma)
	END
	[ "$same" -gt 35 ] && [ "$new" -le 12 ] && [ "$bytes" -lt 18000000 ] ||
		fail "$options: $same extents stayed, $new are new, with $bytes bytes"
	read -r same new bytes <<-END
		$(extents plain-one.vma plain-two.vma)
	END
	[ "$same" = 0 ] || fail "without it $same extents are the same"
done
expect_code 0 "$VMABAK" restore two.vma -C back
cmp -n 150000000 two.raw back/root.raw || fail "another drive"

# The uuid comes from the names of the drives, or from the command line.
uuid_of()
{
	expect_code 0 "$VMABAK" list --json "$1"
	sed -n 's/.*"uuid": *"\([^"]*\)".*/\1/p' "$out"
}
[ "$(uuid_of one.vma)" = "$(uuid_of two.vma)" ] || fail "the uuids differ"
[ "$(uuid_of one.vma)" != "$(uuid_of plain-one.vma)" ] || fail "a uuid that is no random one"
expect_code 0 "$VMABAK" backup --dedup -o a.vma root=other.raw
[ "$(uuid_of one.vma)" != "$(uuid_of a.vma)" ] || fail "other drives, the same uuid"
expect_code 0 "$VMABAK" backup --dedup --uuid 01234567-89ab-cdef-0123-456789abcdef -o b.vma root=other.raw
[ "$(uuid_of b.vma)" = 01234567-89ab-cdef-0123-456789abcdef ] || fail "another uuid"
expect_code 0 sh -c '"$VMABAK" backup --dedup -o - --format vma root=other.raw | cat >c.vma'
[ "$(uuid_of c.vma)" = "$(uuid_of a.vma)" ] || fail "another uuid through a pipe"
expect_error 2 '--dedup is for VMA' "$VMABAK" backup --dedup -o a.vmab other.raw
