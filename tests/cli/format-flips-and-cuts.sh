# Flipped bits and cuts are noticed in every format, and in what is around it.
# long: more than six hundred commands
. "$(dirname "$0")/lib.sh"

make_random drive.raw 20000 1
truncate -s 300000 drive.raw
seq 1 5000 >>drive.raw
echo text >a.conf
# Every bit and every length of the bare formats is tried without a process for each (make mutation-short).
for archive in 'a.vma.zst 100' 'a.vma.gz 100' 'a.vmab 30' 'a.vma 30'; do
	expect_code 0 "$VMABAK" backup -o "${archive% *}" -c a.conf drive.raw
	# shellcheck disable=SC2086 # words
	expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" $archive
done
expect_code 0 "$VMABAK" backup -o b.vmab --compress none -c a.conf drive.raw
expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" b.vmab 30
# Without checksums only the head and the header of the one extent are protected, and the length.
expect_code 0 "$VMABAK" backup -o b.vma --no-vma-checksums -c a.conf drive.raw
expect_code 0 "$PYTHON" "$CLI/flips_and_cuts.py" "$VMABAK" b.vma 30 12800
