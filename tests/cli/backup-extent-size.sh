# --extent-size: extents hold no more data than that, whatever the data compresses to; the archive is the same for any
# number of threads, and every reader reads it. convert cuts the extents of others.
. "$(dirname "$0")/lib.sh"
need_python xxhash zstandard

make_random a.raw 1000000
"$PYTHON" - <<'END'
import random
rng = random.Random(5)
with open("a.raw", "r+b") as drive:
    for cluster in range(400):
        drive.seek(cluster * 65536 + 1000000)
        kind = rng.randrange(4)
        if kind == 0:
            drive.write(rng.randbytes(65536))
        elif kind == 1:
            drive.write(b"text " * 13000)
        elif kind == 2:
            drive.write(bytes(4096) + rng.randbytes(4096) + bytes(57344))
    drive.truncate(30000001)
END

# sizes ARCHIVE: the bytes of blocks in each of its extents.
sizes()
{
	"$PYTHON" - "$1" <<'END'
import struct, sys
data, at = open(sys.argv[1], "rb").read(), 0
while (at := data.find(b"VMABSECT", at)) >= 0:
    kind, n_slots, raw = (int.from_bytes(data[at + a:at + b], "little") for a, b in ((0x30, 0x32), (0x34, 0x38), (0x38, 0x3c)))
    if at % 512 == 0 and kind == 1 and raw:
        print(raw)
    at += 8
END
}

# whole ARCHIVE MAX: all readers, and the largest extent.
whole()
{
	expect_code 0 "$VMABAK" verify -q "$1"
	rm -rf back spec
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	same_file back/a.raw a.raw
	expect_code 0 "$PYTHON" "$SRC/spec/restore.py" "$1" spec
	same_file spec/a.raw a.raw
	[ "$(sizes "$1" | sort -n | tail -n 1)" -le "$2" ] || fail "$1: extents of $(sizes "$1" | sort -n | tail -n 1)"
}

SOURCE_DATE_EPOCH=1
export SOURCE_DATE_EPOCH
for size in 64K 256K 1M 4M; do
	bytes=$((${size%[KM]} * 1024))
	[ "${size%M}" = "$size" ] || bytes=$((bytes * 1024))
	for method in zstd none; do
		set -- --uuid 01234567-89ab-cdef-0123-456789abcdef --compress $method --extent-size $size
		expect_code 0 "$VMABAK" backup -q "$@" --threads 1 -o one.vmab a=a.raw
		whole one.vmab $bytes
		[ "$(sizes one.vmab | wc -l)" -ge $((5000000 / bytes)) ] || fail "$size: only $(sizes one.vmab | wc -l) extents"
		expect_code 0 "$VMABAK" backup -q "$@" --threads 4 --force -o four.vmab a=a.raw
		same_file one.vmab four.vmab
		rm one.vmab
	done
done
# largest ARCHIVE BYTES
largest()
{
	[ "$(sizes "$1" | sort -n | tail -n 1)" = "$2" ] || fail "$1: extents of $(sizes "$1" | sort -n | tail -n 1)"
}
# Without it they are of 1 MiB, and in what is converted as they were.
expect_code 0 "$VMABAK" backup -q -o one.vmab a=a.raw
largest one.vmab 1048576
expect_code 0 "$VMABAK" backup -q --extent-size 4M -o large.vmab a=a.raw
largest large.vmab $(sizes four.vmab | sort -n | tail -n 1)
expect_code 0 "$VMABAK" convert -q large.vmab -o small.vmab
largest small.vmab $(sizes large.vmab | sort -n | tail -n 1)
rm small.vmab
expect_code 0 "$VMABAK" convert -q --extent-size 128K large.vmab -o small.vmab
whole small.vmab 131072
# A hole in it costs one extent.
flip small.vmab $(($(size_of small.vmab) / 2))
expect_code 5 "$VMABAK" salvage -q small.vmab -C salvaged
[ "$(cmp -l salvaged/a.raw a.raw | wc -l)" -le 131072 ] || fail "salvage lost more than an extent"
rm small.vmab
# An increment, too.
cp a.raw b.raw
put b.raw 5000000 changed
expect_code 0 "$VMABAK" backup -q --parent large.vmab --extent-size 64K -o next.vmab a=b.raw
rm -rf back
expect_code 0 "$VMABAK" restore -q next.vmab -C back
same_file back/a.raw b.raw
expect_error 2 "--extent-size" "$VMABAK" backup --extent-size 32K -o x.vmab a=a.raw
expect_error 2 "--extent-size is for VMAB" "$VMABAK" backup --extent-size 64K -o x.vma a=a.raw
