# Records that no tape or no reader takes are refused; so is padding that compression would hide.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100000 1
while read -r size; do
	expect_error 2 --record-size "$VMABAK" backup -o a.vmab --record-size "$size" drive.raw
	expect_error 2 --record-size "$VMABAK" convert drive.raw -o a.vmab --record-size "$size"
done <<'END'
0
1
511
513
1000
16777217
17M
-512
64X
END
for archive in a.vma.zst a.vma.gz; do
	expect_error 2 "cannot pad" "$VMABAK" backup -o $archive --record-size 64K drive.raw
done
nothing_but drive.raw

# The padding of a record is zeros: anything else there is damage.
expect_code 0 "$VMABAK" backup -o a.vmab --record-size 1M drive.raw
flip a.vmab -1
expect_code 4 "$VMABAK" verify a.vmab
flip a.vmab -1
expect_code 0 "$VMABAK" verify a.vmab
# 16 MiB of it are taken, not more.
size=$(size_of a.vmab)
truncate -s $((16777216 + size)) a.vmab
expect_code 4 "$VMABAK" verify a.vmab
