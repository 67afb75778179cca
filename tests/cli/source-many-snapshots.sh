# An image whose snapshots all share their tables: each table is read once, not once a snapshot.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io
need_strace

qemu-img create -q -f qcow2 a.qcow2 60G
"$PYTHON" -c 'for n in range(120): print(f"write -P 1 {n * 512}M 64k")' | qemu-io a.qcow2 >/dev/null
qemu-img snapshot -c one a.qcow2
qemu-io -c 'write -P 2 0 64k' a.qcow2 >/dev/null
"$PYTHON" - a.qcow2 <<'END'
import struct, sys
with open(sys.argv[1], "r+b") as image:
    head = image.read(104)
    n, at = struct.unpack(">IQ", head[60:72])
    image.seek(at)
    entry = image.read(40)
    id_length, name_length = struct.unpack(">HH", entry[12:16])
    extra, = struct.unpack(">I", entry[36:40])
    rest = image.read(extra + id_length + name_length)
    length = (40 + len(rest) + 7) // 8 * 8
    image.seek(0, 2)
    at = (image.tell() + 65535) // 65536 * 65536
    image.seek(at)
    ids = [(number + 10) for number in range(500)]
    for number in ids:
        name = b"%05d" % number
        one = entry[:12] + struct.pack(">HH", 5, 5) + entry[16:] + rest[:extra] + name + name
        image.write(one + bytes(-len(one) % 8))
    image.seek(60)
    image.write(struct.pack(">IQ", len(ids), at))
END
# Of this process alone: QEMU reads, too, and finds wrong counts of references.
expect_code 3 strace -qq -o "$TMPDIR/calls" -e trace=pread64 -P a.qcow2 "$VMABAK" backup -q -o a.vmab a=a.qcow2,snapshot=00012
n=$(wc -l <"$TMPDIR/calls")
[ "$n" -gt 600 ] && [ "$n" -lt 5000 ] || fail "$n reads"
