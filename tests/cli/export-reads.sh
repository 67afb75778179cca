# Every byte of an exported archive is that of the drive, at random and in order, of VMAB and plain VMA.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdcopy qemu-img nbdinfo

"$PYTHON" - <<'EOF'
import random
rng = random.Random(5)
with open("a.raw", "wb") as file:
    file.truncate((24 << 20) + 4096 * 3)
    for i in range(60):
        file.seek(rng.randrange(0, 24 << 20) // 512 * 512)
        file.write(rng.randbytes(rng.randrange(1, 200000)) if i % 2 else b"text %d " % i * 9000)
    file.truncate((24 << 20) + 4096 * 3)
with open("b.raw", "wb") as file:
    file.truncate(3 << 30)
    file.write(b"begin")
    file.seek((2 << 30) + 77)
    file.write(b"far" * 30000)
EOF
"$VMABAK" backup -q -o a.vmab root=a.raw data=b.raw
"$VMABAK" backup -q -o small.vmab --extent-size 256K root=a.raw data=b.raw
"$VMABAK" backup -q -o plain.vmab --compress none root=a.raw data=b.raw
"$VMABAK" backup -q -o a.vma root=a.raw data=b.raw

for archive in a.vmab small.vmab plain.vmab a.vma; do
	start_export --cache 8M $archive
	same_bytes root a.raw 200
	same_bytes data b.raw 60
	nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
	cmp a.raw out.raw
	qemu-img compare -q -f raw -F raw 'nbd+unix:///data?socket=n.sock' b.raw || fail "$archive: data differs"
	# Holes are known without reading: all but two runs are.
	nbdinfo --map=base:allocation 'nbd+unix:///data?socket=n.sock' >map
	[ "$(grep -c 'hole,zero' map)" = 2 ] || fail "$archive: $(cat map)"
	stop_export
done

# Nothing can be written, and nothing can be started twice.
start_export a.vmab
nbdinfo --is read-only 'nbd+unix:///root?socket=n.sock' || fail "it can be written"
expect_code 7 timeout 60 "$VMABAK" export a.vmab --nbd unix:n.sock
expect_code 7 timeout 60 "$VMABAK" export a.vmab --control c.sock --nbd unix:m.sock
# A backup of it is one of drives that hold still.
expect_code 0 "$VMABAK" backup -q serve:c.sock -o again.vmab
expect_code 0 "$VMABAK" diff -q a.vmab again.vmab
stop_export
