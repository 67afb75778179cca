# Flipped bits and cuts are noticed in every format, and in what is around it.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 20000 1
truncate -s 300000 drive.raw
seq 1 5000 >>drive.raw
echo text >a.conf
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive -c a.conf drive.raw
	expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" $archive 200
done
expect_code 0 "$VMABAK" backup -o b.vmab --compress none -c a.conf drive.raw
expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" b.vmab 200
# Without checksums only the head and the header of the one extent are protected, and the length.
expect_code 0 "$VMABAK" backup -o b.vma --no-vma-checksums -c a.conf drive.raw
expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" b.vma 200 12800
