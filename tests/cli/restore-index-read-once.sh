# By way of the index no byte of an archive is read twice, whatever the index says: positions ascend, and what it leads
# to does not overlap. So an archive costs no more than its size.
. "$(dirname "$0")/lib.sh"

"$PYTHON" -c 'import xxhash' 2>/dev/null || skip "python has no xxhash"

# restored_a TEXT ARCHIVE: refused, with that text, after reading less than the archive and a bit.
restored_a()
{
	expect_error 4 "$1" "$VMABAK" restore "$2" -d a=x
	nothing_but "$2"
	if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
		expect_code 4 strace -f --seccomp-bpf -e trace=read -o "$base/trace" "$VMABAK" restore "$2" -d a=x
		"$PYTHON" -c 'import re, sys
print(sum(int(n) for n in re.findall(r"= (\d+)$", open(sys.argv[1]).read(), re.M)))' "$base/trace" >"$base/n"
		# What is read ahead for a small header, and the libraries.
		[ "$(cat "$base/n")" -lt $(($(size_of "$2") + 10000000)) ] ||
			fail "$(cat "$base/n") bytes were read of $(size_of "$2")"
	fi
	rm "$2"
}

"$PYTHON" "$CLI/costly.py" index 1 index.vmab
restored_a 'the positions of an index do not ascend' index.vmab
"$PYTHON" "$CLI/costly.py" index 3 index.vmab
restored_a 'an entry of the index leads nowhere' index.vmab
"$PYTHON" "$CLI/costly.py" nested 20 nested.vmab
restored_a 'the index leads to a section that overlaps others' nested.vmab

# One that is right: several extents of one drive, between those of another, in several index sections.
make_random one.raw 9000000 1
truncate -s 3000M two.raw
"$PYTHON" -c 'import random, sys
with open("two.raw", "r+b") as file:
    for at in range(0, 3000 << 20, 131072):
        file.seek(at)
        file.write(b"x")'
expect_code 0 "$VMABAK" backup --no-sync -o good.vmab disk0=one.raw two=two.raw
expect_code 0 "$VMABAK" restore --no-sync good.vmab -d disk0=back.raw
same_file one.raw back.raw
