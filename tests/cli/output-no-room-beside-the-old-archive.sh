# No room, or no place for another file, beside what is there: it stays as it was.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 5000000 1
make_random small.raw 100000 2
expect_code 0 "$VMABAK" backup -q -o small.vmab small.raw
truncate -s 5000192 drive.raw
expect_code 0 "$VMABAK" backup -q -o big.vma drive.raw
mkdir full
# Each command, its exit code, and what is in the folder after it.
# shellcheck disable=SC2016 # for the inner shell
expect_code 0 in_private_mounts sh -c '
	try()
	{
		"$VMABAK" "$@" >/dev/null 2>said
		echo "$? $(wc -l <said) $(ls -A full | tr "\n" " ")"
		cmp small.vmab full/a.vmab || echo "the archive is another"
	}
	mount -t tmpfs -o size=2m tmpfs full || exit 77
	cp small.vmab full/a.vmab
	try backup --force -o full/a.vmab drive.raw
	try convert --force big.vma -o full/a.vmab
	try restore small.vmab -d disk0=full/a.vmab
	umount full
	mount -t tmpfs -o size=20m,nr_inodes=2 tmpfs full || exit 77
	cp small.vmab full/a.vmab
	try backup --force -o full/a.vmab drive.raw
	try backup -o full/b.vmab drive.raw
	try restore small.vmab -C full
	umount full'
cat >wanted <<'END'
6 1 a.vmab 
6 1 a.vmab 
2 1 a.vmab 
6 1 a.vmab 
6 1 a.vmab 
6 1 a.vmab 
END
same_file "$out" wanted
