# A restore of a chain reads no data that a newer archive replaces, as its index tells, and writes each cluster once.
. "$(dirname "$0")/lib.sh"

need_strace
make_random disk.raw 67108864 1
expect_code 0 "$VMABAK" backup -q --extent-size 256K -o 0.vmab disk=disk.raw
# The first half is other data, then zeros, then other data again.
make_random half 33554432 2
dd if=half of=disk.raw bs=1M conv=notrunc status=none
expect_code 0 "$VMABAK" backup -q --parent 0.vmab -o 1.vmab disk=disk.raw
dd if=/dev/zero of=disk.raw bs=1M count=16 conv=notrunc status=none
expect_code 0 "$VMABAK" backup -q --parent 1.vmab -o 2.vmab disk=disk.raw

# Beside the data there are heads, headers, indexes and tails.
# bytes CALL NAME: that calls moved, of files with such a name.
bytes()
{
	"$PYTHON" - "$TMPDIR/log" "$1" "$2" <<'END'
import re, sys

total, begun = 0, {}
for line in open(sys.argv[1], errors="replace"):
    thread, call = line.strip().split(maxsplit=1)
    if call.endswith("<unfinished ...>"):  # the rest follows in a line of its own
        begun[thread] = call
    elif call.startswith("<..."):
        call = begun.pop(thread, "") + call
    match = re.match(r"(\w+)\(\d+<([^>]*)>.*= (\d+)$", call)
    if match and re.fullmatch(sys.argv[2], match[1]) and re.search(sys.argv[3], match[2]):
        total += int(match[3])
print(total)
END
}
# at_most WHAT BYTES CALL NAME
at_most()
{
	n=$(bytes "$3" "$4")
	[ "$n" -le "$2" ] || fail "$1: $n bytes, more than $2"
}
expect_code 0 strace -f -y -o "$TMPDIR/log" -e trace=read,pread64,readv,preadv,write,pwrite64,writev \
	"$VMABAK" restore -q 2.vmab -d disk=back.raw
same_file back.raw disk.raw
at_most 'of the oldest' $((33554432 + 100000)) 'read|pread64|readv|preadv' '/0\.vmab'
at_most 'of the middle one' $((16777216 + 100000)) 'read|pread64|readv|preadv' '/1\.vmab'
at_most 'of the newest' 100000 'read|pread64|readv|preadv' '/2\.vmab'
at_most 'written' 50331648 'write|pwrite64|writev' '\.part'
[ "$(bytes 'write|pwrite64|writev' '\.part')" -gt 33554432 ] || fail "the calls were not seen: $(tail -5 "$TMPDIR/log")"
