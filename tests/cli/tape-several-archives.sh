# A filemark follows each archive; what is read ends there, and the next one begins behind it.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
for n in 1 2 3; do
	make_random $n.raw 700416 $n
	expect_code 0 on_tape backup -o tape drive$n=$n.raw
done
[ "$(tape_blocks)" = '262144 0 262144 0 262144 0 ' ] || fail "blocks of $(tape_blocks)"
rewind
for n in 1 2 3; do
	expect_code 0 on_tape restore --no-sync tape -C back
	same_file $n.raw back/drive$n.raw
done

# What lies before a filemark and what lies behind it are never one archive, however short they are.
export TAPE_LARGEST=16777216
expect_code 0 "$VMABAK" backup -o a.vmab 1.raw
for n in 0 5 100000; do
	rewind
	"$PYTHON" -c 'import struct, sys
data, n = open("a.vmab", "rb").read(), int(sys.argv[1])
with open("tape", "wb") as tape:
    for part in [data[:n]] * (n > 0) + [b"", data[n:], b""]:
        tape.write(struct.pack("=I", len(part)) + part)' $n
	! on_tape verify tape >"$out" 2>&1 || fail "an archive with a filemark in it is good"
done
