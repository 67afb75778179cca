# A file system comes back from each format, from a file and from a pipe, bit for bit.
. "$(dirname "$0")/lib.sh"

make_image drive.raw 40
echo 'cores: 2' >vm.conf
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive -c vm.conf drive.raw
	expect_code 0 "$VMABAK" verify $archive
	expect_text "$out" "$archive: ok, every checksum matches: " ' of data, 1 drive'

	expect_code 0 "$VMABAK" restore --no-sync $archive -C from-file
	same_file drive.raw from-file/disk0.raw
	same_file vm.conf from-file/vm.conf
	[ "$(ls -A from-file | wc -l)" = 2 ] || fail "more than the drive and the config: $(ls -A from-file)"

	expect_code 0 sh -c "cat $archive | \"\$VMABAK\" restore --no-sync - -C from-pipe"
	same_file drive.raw from-pipe/disk0.raw
	same_file vm.conf from-pipe/vm.conf
	e2fsck -fn from-pipe/disk0.raw >"$out" 2>&1 || fail "e2fsck: $(cat "$out")"
	rm -r from-file from-pipe $archive
done
nothing_but drive.raw vm.conf
