# Through pipes and compressors, both ways; what is around an archive is recognised by content.
# long: compressors, in all formats
. "$(dirname "$0")/lib.sh"

need zstd gzip lzop xz bzip2
make_random drive.raw 500000 1
truncate -s 20M drive.raw
seq 1 50000 >>drive.raw
truncate -s 26M drive.raw
for format in vmab vma; do
	expect_code 0 sh -c "\"\$VMABAK\" backup -o - --format $format drive.raw | \"\$VMABAK\" verify -"
	expect_text "$out" '-: ok, every checksum matches'
	for filter in zstd gzip lzop xz bzip2; do
		expect_code 0 sh -c "\"\$VMABAK\" backup -o - --format $format drive.raw | $filter -c >packed"
		expect_code 0 "$VMABAK" verify packed
		expect_code 0 sh -c '"$VMABAK" verify - <packed'
		expect_code 0 "$VMABAK" list packed
		expect_text "$out" ", $filter-compressed"
		expect_code 0 "$VMABAK" restore --no-sync packed -C back
		same_file drive.raw back/disk0.raw
		rm -r back
		expect_code 0 sh -c "$filter -dc <packed | \"\$VMABAK\" restore --no-sync - -C back"
		same_file drive.raw back/disk0.raw
		rm -r back
		# A stream that was cut is told.
		head -c $(($(size_of packed) - 20)) packed >cut
		expect_code 4 "$VMABAK" verify cut
	done
done
# Standard output is where an archive goes when nothing is said.
expect_code 0 sh -c '"$VMABAK" backup -o - drive.raw | "$VMABAK" convert -o - - | "$VMABAK" list -'
expect_text "$out" 'VMAB 1'
# What is written compressed is what the tools take.
expect_code 0 "$VMABAK" backup -o a.vma.zst drive.raw
expect_code 0 "$VMABAK" backup -o a.vma.gz drive.raw
zstd -qdc a.vma.zst >zst.vma
gzip -dc a.vma.gz >gz.vma
expect_code 0 "$VMABAK" verify zst.vma gz.vma
