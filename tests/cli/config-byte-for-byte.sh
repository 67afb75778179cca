# config prints a config as it is, to the byte.
. "$(dirname "$0")/lib.sh"

make_random blob.bin 50000 1
echo 'cores: 2' >vm.conf
echo other >qemu-server.conf
for archive in a.vmab a.vma a.vma.gz; do
	expect_code 0 "$VMABAK" backup --force -o $archive -c vm.conf
	expect_code 0 "$VMABAK" config $archive
	same_file vm.conf "$out"
	expect_code 0 sh -c "\"\$VMABAK\" config - <$archive"
	same_file vm.conf "$out"
	expect_error 1 "no config 'x' in the archive; it holds vm.conf" "$VMABAK" config $archive x

	expect_code 0 "$VMABAK" backup --force -o $archive -c vm.conf -c blob.bin
	expect_code 0 "$VMABAK" config $archive blob.bin
	same_file blob.bin "$out"
	expect_error 1 'which config? the archive holds vm.conf, blob.bin' "$VMABAK" config $archive
	expect_code 0 "$VMABAK" backup --force -o $archive -c vm.conf -c qemu-server.conf
	expect_code 0 "$VMABAK" config $archive
	same_file qemu-server.conf "$out"
	expect_code 0 "$VMABAK" config --json $archive vm.conf
	expect_json "$out" "d['data'] == 'cores: 2\n'" "d['size_bytes'] == 9" "d['name'] == 'vm.conf'"
done
truncate -s 1M drive.raw
expect_code 0 "$VMABAK" backup -o none.vmab drive.raw
expect_error 1 'holds no configs' "$VMABAK" config none.vmab
# The head is enough: of a cut archive it still comes out.
head -c 13000 a.vma >cut.vma
expect_code 0 "$VMABAK" config cut.vma vm.conf
same_file vm.conf "$out"
