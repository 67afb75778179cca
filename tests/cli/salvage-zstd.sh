# Compression around an archive that is damaged: of zstd in frames, as we write it, the frames behind
# the damage are had; of one frame, and of gzip, what came before.
# long: many commands
. "$(dirname "$0")/lib.sh"

need zstd
make_random a.raw 20000000 1
"$VMABAK" backup -q -o a.vma.zst a=a.raw
# lost ARCHIVE MIN MAX: clusters; what is not lost is right
lost()
{
	expect_code "${4:-5}" "$VMABAK" salvage --json "$1" -C out
	expect_json "$out" "$2 <= d['drives'][0]['lost_bytes'] // 65536 <= $3"
	"$PYTHON" - "$out" <<'EOF' || fail "what is not lost differs"
import json, sys
drive = json.load(open(sys.argv[1]))["drives"][0]
a, b = open("a.raw", "rb").read(), bytearray(open(drive["target"], "rb").read())
a = bytearray(a.ljust(len(b), b"\0"))
for lost in drive["lost"]:
    for data in a, b:
        data[lost["offset"]:lost["offset"] + lost["size_bytes"]] = bytes(lost["size_bytes"])
assert a == b
EOF
	rm -r out
}
lost a.vma.zst 0 0 0
# a bit; bytes missing, added, zeroed; two places
cp a.vma.zst flip.vma.zst
flip flip.vma.zst 9000000
lost flip.vma.zst 1 70
{ head -c 9000000 a.vma.zst && tail -c +9000513 a.vma.zst; } >gone.vma.zst
lost gone.vma.zst 1 70
{ head -c 9000000 a.vma.zst && cat "$CLI/lib.sh" && tail -c +9000001 a.vma.zst; } >more.vma.zst
lost more.vma.zst 1 70
{ head -c 3000000 a.vma.zst && tail -c +3065537 a.vma.zst | head -c 9000000 &&
	tail -c +13000000 a.vma.zst; } >twice.vma.zst
lost twice.vma.zst 2 150
expect_code 5 "$VMABAK" salvage --json twice.vma.zst -C told
expect_json "$out" '"zstd stream is damaged" in d["read_error"]'
expect_code 5 sh -c 'cat gone.vma.zst | "$VMABAK" salvage - -C pipe'
# the first magic, and with it the head; the padding of a record, a cut
{ head -c 4 /dev/zero && tail -c +5 a.vma.zst; } >begin.vma.zst
lost begin.vma.zst 0 70
{ cat a.vma.zst && head -c 5000 /dev/zero; } >padded.vma.zst
lost padded.vma.zst 0 0 0
head -c 9000000 a.vma.zst >cut.vma.zst
lost cut.vma.zst 150 180
# one frame, and gzip
zstd -qdc a.vma.zst | zstd -q -o one.vma.zst
flip one.vma.zst 9000000
lost one.vma.zst 1 180
"$VMABAK" backup -q -o a.vma.gz a=a.raw
flip a.vma.gz 9000000
lost a.vma.gz 1 180
head -c 9000000 a.vma.gz >cut.vma.gz
lost cut.vma.gz 150 180
