# vmabak ls and get of an archive of a web server: little is fetched for one file, and told.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest debugfs mkfs.ext4
mkdir -p www files/folder
make_random files/bulk 64000000 1
make_random files/folder/one 1048576 2
truncate -s 80M root.raw
mkfs.ext4 -q -F -d files root.raw
expect_code 0 "$VMABAK" backup -o www/a.vmab root=root.raw
rm files/bulk root.raw
web
expect_code 0 "$VMABAK" get "$url/a.vmab" root:/folder/one -o one
same_file files/folder/one one
expect_text "$err" 'one: 1.0 MiB, read by debugfs; ' ' fetched'
taken=$(ask taken)
[ "$taken" -lt 25165824 ] || fail "$taken bytes fetched for a file of 1 MiB"
expect_code 0 "$VMABAK" get -r "$url/a.vmab" root:/folder -o folder
same_file files/folder/one folder/one
expect_text "$err" 'folder: 1 files, ' ' fetched'
expect_code 0 "$VMABAK" ls "$url/a.vmab" root:/folder
expect_text "$out" ' one'
end_web
