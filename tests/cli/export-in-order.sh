# An archive that can be read only in order: refused with the ways that help, or kept in a cache file as it is read. What is
# damaged cannot be read, all else can; nothing of the file is left.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdcopy nbdsh zstd

"$PYTHON" -c 'import random
rng = random.Random(8)
open("a.raw", "wb").write(rng.randbytes(3 << 20) + bytes(6 << 20) + rng.randbytes(2222080))'
"$VMABAK" backup -q -o a.vma.zst root=a.raw
"$VMABAK" backup -q -o a.vma root=a.raw
"$VMABAK" backup -q -o a.vmab --extent-size 256K root=a.raw
gzip -c a.vmab >a.vmab.gz

expect_code 1 timeout 60 "$VMABAK" export a.vma.zst --nbd unix:n.sock
expect_text "$err" "a.vma.zst: can only be read from its beginning to its end: zstd; 'vmabak export --cache-file FILE'" "vmabak convert"

for archive in a.vma.zst a.vmab.gz 'exec:cat a.vma'; do
	start_export --cache-file kept "$archive"
	expect_text export.err "can only be read from its beginning"
	[ ! -e kept ] || fail "kept has a name"
	same_bytes root a.raw 60
	nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
	cmp a.raw out.raw
	stop_export
done

# One that exists is not touched.
echo mine >kept
expect_code 1 timeout 60 "$VMABAK" export a.vma.zst --cache-file kept --nbd unix:n.sock
[ "$(cat kept)" = mine ] || fail "it was"
rm kept

# Damaged in one extent, and cut: the head was read, and what is there can be.
"$PYTHON" - <<'EOF'
data = bytearray(open("a.vmab", "rb").read())
data[len(data) // 2] ^= 1
open("bad.vmab", "wb").write(data)
open("cut.vmab", "wb").write(data[:len(data) // 3])
EOF
cat >reads.py <<'EOF'
import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
truth, bad = open("a.raw", "rb").read(), 0
for at in list(range(0, len(truth), 65536)) * 2:
    try:
        assert h.pread(min(65536, len(truth) - at), at) == truth[at:at + 65536], at
    except nbd.Error:
        bad += 1
print(bad // 2)
EOF
gzip -c bad.vmab >bad.vmab.gz
start_export --cache-file kept bad.vmab.gz
[ "$("$PYTHON" reads.py)" = 4 ] || fail "not the 4 clusters of one extent: $(cat export.err)"
stop_export 3
expect_text export.err "bad.vmab.gz: byte " "checksum mismatch"
gzip -c cut.vmab >cut.vmab.gz
start_export --cache-file kept cut.vmab.gz
n=$("$PYTHON" reads.py)
[ "$n" -gt 30 ] && [ "$n" -lt 178 ] || fail "$n clusters cannot be read"
stop_export 3
expect_text export.err "the end is missing"
