# What a chain needs is not overwritten, and what lies beside it, has its uuid, or only looks like it belongs is not believed.
. "$(dirname "$0")/lib.sh"

make_random old.raw 700000 1
cp old.raw disk.raw
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw
for n in 1 2; do
	printf $n | dd of=disk.raw bs=1 seek=$((n * 100000)) conv=notrunc status=none
	expect_code 0 "$VMABAK" backup -q --no-sums --parent $((n - 1)).vmab -o $n.vmab disk=disk.raw
done
expect_code 0 "$VMABAK" sums -q 1.vmab
mkdir kept
cp ./*.vmab ./*.sums kept
uuid_of()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'
}

# By a restore, by a new archive, or by sums, also by another name and where sums hide the oldest.
ln 0.vmab link
expect_error 2 'is an archive of the chain' "$VMABAK" restore --force 2.vmab -d disk=0.vmab,format=raw
expect_error 2 'is an archive of the chain' "$VMABAK" restore --force 2.vmab -d disk=link,format=raw
expect_code 0 "$VMABAK" backup -q --no-sums --parent 0.vmab -o c.vmab -c 0.vmab=disk.raw disk=disk.raw
expect_error 2 'is an archive of the chain' "$VMABAK" restore --force c.vmab -C .
for old in 0 1 2; do
	expect_error 2 'needs' "$VMABAK" backup --force --parent 2.vmab -o $old.vmab disk=disk.raw
	expect_error 2 'is an archive of the chain' "$VMABAK" sums --force 2.vmab -o $old.vmab
	expect_error 2 'has the uuid' "$VMABAK" backup --uuid "$(uuid_of $old.vmab)" --parent 2.vmab -o n.vmab disk=disk.raw
done
for old in 1.vmab.sums 1.vmab 0.vmab; do
	expect_error 2 'needs' "$VMABAK" backup --force --format vmab --parent 1.vmab.sums -o $old disk=disk.raw
done
for file in kept/*; do same_file "$file" "${file#kept/}"; done
rm link c.vmab

# Neither devices nor pipes of the folder are opened, as it may be /dev.
mkfifo pipe
(: >pipe; : >"$TMPDIR/opened") &
opener=$!
expect_code 0 "$VMABAK" restore -q 2.vmab -C back
same_file back/disk.raw disk.raw
[ ! -e "$TMPDIR/opened" ] || fail "opened a pipe"
kill $opener
wait $opener || true
for archive in pipe -; do
	expect_error 2 'read from a file' timeout 200 "$VMABAK" sums $archive <2.vmab
	expect_error 2 'read from a file' timeout 200 "$VMABAK" diff $archive 0.vmab <2.vmab
	expect_error 2 'read from a file' timeout 200 "$VMABAK" backup -o n.vmab --parent $archive disk=disk.raw <2.vmab
	expect_error 2 'read from a file' timeout 200 "$VMABAK" restore 2.vmab $archive -C other <0.vmab
done
rm -r back pipe

# Sums with the uuid of the archive they lie beside, but made of another one.
uuid=01020304-0506-0708-090a-0b0c0d0e0f10
expect_code 0 "$VMABAK" backup -q --uuid $uuid -o p.vmab disk=old.raw
expect_code 0 "$VMABAK" sums -q p.vmab
mv p.vmab.sums another
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid -o p.vmab disk=disk.raw
mv another p.vmab.sums
expect_code 0 "$VMABAK" backup -q --no-sums --parent p.vmab -o q.vmab disk=old.raw
expect_code 0 "$VMABAK" restore -q q.vmab -C back
same_file back/disk.raw old.raw
rm -r back p.vmab.sums

# The parent's drive is smaller than the one that was left out, or gone: what its own parents have there is too old.
expect_code 0 "$VMABAK" backup -q --no-sums --parent p.vmab -o q.vmab --force disk=disk.raw
head -c 65536 disk.raw >small.raw
for drive in disk=small.raw other=disk.raw; do
	expect_code 0 "$VMABAK" backup -q --force --uuid $uuid --parent 0.vmab -o p.vmab $drive
	expect_code 4 "$VMABAK" restore q.vmab -C back
	expect_text "$err" 'in no archive of the chain'
	expect_code 4 "$VMABAK" sums q.vmab
	expect_text "$err" 'in no archive of the chain'
done
[ ! -e back ] || fail "left something"

# A chain in which a name stands for two drives is ambiguous, and nothing is the same then.
if "$PYTHON" -c 'import xxhash' 2>/dev/null; then
	expect_code 0 "$VMABAK" backup -q -o two.vmab d1=old.raw d2=disk.raw
	expect_code 0 "$VMABAK" sums -q two.vmab -o a.sums
	"$PYTHON" - <<'END'
import xxhash
data = bytearray(open("a.sums", "rb").read())
at = data.index(b"d2", 128, 4096)
data[at:at + 2] = b"d1"
data[0x70:0x80] = xxhash.xxh3_128_digest(bytes(data[:0x70] + data[0x80:4096]))
open("b.sums", "wb").write(data)
END
	expect_error 4 'two drives are called d1' "$VMABAK" diff b.sums b.sums
	expect_error 4 'two drives are called d1' "$VMABAK" diff a.sums b.sums
	expect_error 4 'two drives are called d1' "$VMABAK" backup -o n.vmab --parent b.sums d1=old.raw
fi

# Ranges that reach nobody.
expect_code 6 sh -c '"$VMABAK" diff 0.vmab 2.vmab >/dev/full'
