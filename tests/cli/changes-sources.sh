# Where a list may lie: a file, a pipe, standard input, a device, which is read past the page cache; and its name may hold
# a comma.
. "$(dirname "$0")/lib.sh"

printf '# vmabak changes 1\n# size 1048576\n0 512\n# end 1\n' >own
says_so()
{
	expect_code 0 "$VMABAK" changes "$@"
	same_file own "$out"
}
says_so own
says_so - <own
cat own | says_so /dev/stdin,format=own
cp own 'a=b,c,format=x'
says_so ./'a=b,c,format=x,format=own'
expect_error 2 "format 'x': must be one of" "$VMABAK" changes own,format=x
expect_error 1 'nothing,blok=4K: opening it: No such file' "$VMABAK" changes nothing,blok=4K
expect_error 1 'Is a directory' "$VMABAK" changes .
expect_error 2 'no change list named' "$VMABAK" changes ,format=own
expect_error 2 'too few arguments' "$VMABAK" changes
expect_code 0 "$VMABAK" changes own --json
expect_json "$out" 'd["size_bytes"] == 1048576' 'd["since"] is None' 'd["ranges"] == [{"offset": 0, "length": 512}]'

# 20 TiB, in one row; a list that is longer than what is in memory at once.
echo '[{"offset":0,"length":21990232555520,"type":1,"description":"dirty"}]' >huge
expect_code 0 "$VMABAK" changes huge
expect_text "$out" '0 21990232555520'
"$PYTHON" -c '
print("[")
for i in range(100000):
    print("%s{\"offset\":%d,\"length\":65536,\"type\":%d,\"description\":\"%s\"}" % ("," * (i > 0), i << 16, i & 1, ("clean", "dirty")[i & 1]))
print("]")' >long
expect_code 0 "$VMABAK" changes long
[ "$(grep -c '^[0-9]' "$out")" = 50000 ] || fail "rows of a long list are missing"

if [ "$(id -u)" = 0 ]; then
	"$PYTHON" - <<'EOF'
import struct
head = struct.pack("<IIII", 0x70416E53, 1, 1, 8).ljust(4096, b"\0")
areas = b""
for area in range(3):
    rows = [(1000 * area + i, 2 + i) for i in range(256 if area < 2 else 3)]
    areas += b"".join(struct.pack("<QQ", *row) for row in rows).ljust(4096, b"\0") + bytes(256 * 4096)
open("store", "wb").write(head + areas)
EOF
	expect_code 0 "$VMABAK" changes store --size 1G
	cp "$out" wanted
	loop_device store
	need_strace
	expect_code 0 strace -o "$TMPDIR/calls" -e trace=fcntl "$VMABAK" changes "$loop" --size 1G
	same_file wanted "$out"
	grep -q 'O_DIRECT' "$TMPDIR/calls" || fail "a device was read through the page cache"
fi
