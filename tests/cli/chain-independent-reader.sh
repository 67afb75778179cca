# The reader of the spec, in another language, restores chains to the same bytes: of drives that grew, shrank, came and went.
. "$(dirname "$0")/lib.sh"

need_python xxhash zstandard
reader="$SRC/spec/restore.py"
make_random a.raw 1500000 1
truncate -s 9000000 a.raw
make_random b.raw 200000 2
expect_code 0 "$VMABAK" backup -q -o 0.vmab a=a.raw b=b.raw
put a.raw 8999999 x
dd if=/dev/zero of=a.raw bs=65536 seek=3 count=4 conv=notrunc status=none
truncate -s 100001 b.raw
expect_code 0 "$VMABAK" backup -q --parent 0.vmab -o 1.vmab a=a.raw b=b.raw
truncate -s 1000001 a.raw
truncate -s 300000 b.raw
make_random c.raw 70000 3
expect_code 0 "$VMABAK" backup -q --parent 1.vmab -o 2.vmab a=a.raw b=b.raw c=c.raw
truncate -s 9000000 a.raw
put a.raw 500000 y
expect_code 0 "$VMABAK" backup -q --parent 2.vmab -o 3.vmab a=a.raw c=c.raw

expect_code 0 "$PYTHON" "$reader" 3.vmab 2.vmab 1.vmab 0.vmab back
for name in a c; do same_file back/$name.raw $name.raw; done
[ ! -e back/b.raw ] || fail "a drive that is gone"
expect_code 0 "$PYTHON" "$reader" 2.vmab 1.vmab 0.vmab of2
expect_code 0 "$VMABAK" restore -q 2.vmab -C same
diff -r of2 same || fail "instant 2"
expect_code 3 "$PYTHON" "$reader" 2.vmab 1.vmab part
expect_code 1 "$PYTHON" "$reader" 2.vmab 0.vmab 1.vmab other
expect_text "$err" 'not the parent of the one before it'

# An older archive that is damaged, or lacks what it should have.
flip 0.vmab 700
expect_code 4 "$PYTHON" "$reader" 2.vmab 1.vmab 0.vmab other
expect_text "$err" 'restore.py: 0.vmab: byte 512:'
uuid=01020304-0506-0708-090a-0b0c0d0e0f10
expect_code 0 "$VMABAK" backup -q -o full.vmab a=a.raw
expect_code 0 "$VMABAK" backup -q --uuid $uuid -o p.vmab a=a.raw
expect_code 0 "$VMABAK" backup -q --parent p.vmab -o q.vmab a=a.raw
truncate -s 65536 a.raw
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid --parent full.vmab -o p.vmab a=a.raw
expect_code 4 "$PYTHON" "$reader" q.vmab p.vmab full.vmab less
expect_text "$err" 'in no archive of the chain'
