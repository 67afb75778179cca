# vmabak get --recursive: a folder with all that is below it, of ext4 with owners, modes, times and links, of others with what
# their reader tells; what cannot be read is named, and the rest comes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest debugfs mkfs.ext4 mkfs.xfs mkfs.vfat mcopy

mkdir -p tree/etc/sub/deep tree/etc/empty out
echo hello >tree/etc/hostname
seq 1 200000 >tree/etc/sub/numbers
head -c 3000000 /dev/zero >tree/etc/zeros
: >'tree/etc/two words'
ln tree/etc/sub/numbers tree/etc/sub/deep/again
ln -s /etc/hostname tree/etc/link
ln -s "$(printf '%0200d' 7)" tree/etc/long
chmod 4750 tree/etc/hostname
chmod 500 tree/etc/sub/deep
touch -d '2001-02-03 04:05:06 UTC' tree/etc/hostname tree/etc/sub
touch -h -d '2002-02-03 04:05:06 UTC' tree/etc/link
touch -d '2030-02-03 04:05:06 UTC' tree/etc/zeros
truncate -s 16M root.raw
mkfs.ext4 -q -F -I 256 -d tree root.raw
debugfs -w -R 'set_inode_field /etc/hostname uid 1234' root.raw 2>/dev/null
# mke2fs does not keep parts of a second.
debugfs -w -R "set_inode_field /etc/zeros mtime_extra $((123456789 * 4))" root.raw 2>/dev/null
# The same as a partition.
{
	head -c 446 /dev/zero
	printf '\0\0\0\0\203\0\0\0\0\010\0\0\0\200\0\0'
	head -c 48 /dev/zero
	printf '\125\252'
} >disk.raw
truncate -s 1M disk.raw
cat root.raw >>disk.raw
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw disk=disk.raw

# told TREE: each name with its kind, mode, size of a file, time and where it leads.
told()
{
	(cd "$1" && find . -printf '%p %y %M %Ts %l ' \( -type f -printf '%s %n\n' -o -printf '\n' \) | LC_ALL=C sort)
}
[ "$(id -u)" = 0 ] || chmod 750 tree/etc/hostname # which only its owner could
chmod 700 tree/etc/sub/deep
told tree/etc | sed '/deep d/s/drwx------/dr-x------/' >wanted
chmod 500 tree/etc/sub/deep
for place in root:/etc disk:msdos1:/etc/; do
	rm -rf out/got
	expect_code 0 "$VMABAK" get -r a.vmab "$place" -o out/got
	expect_text "$err" 'out/got: 5 files, 2 links, 4 folders, ' 'read by debugfs; '
	told out/got >got
	diff wanted got || fail "not as it was: $place"
	diff -r --no-dereference tree/etc out/got || fail "not the same: $place"
	[ "$(allocated out/got/zeros)" -lt 1000 ] || fail "no hole for zeros"
	case $(stat -c %y out/got/zeros) in '2030-02-03 '*.123456789\ *) ;; *) fail "not its time: $(stat out/got/zeros)" ;; esac
done
if [ "$(id -u)" = 0 ]; then
	[ "$(stat -c %u out/got/hostname)" = 1234 ] || fail "not its owner"
	expect_text "$err" 'with owners, modes and times'
else
	expect_text "$err" 'this user may not set owners'
fi
rm -rf out/got

# One file the same way.
expect_code 0 "$VMABAK" get a.vmab root:/etc/hostname -C out
[ "$(stat -c '%a %Y' out/hostname)" = "$(stat -c '%a %Y' tree/etc/hostname)" ] || fail "mode or time: $(stat out/hostname)"

# Its own name, and never over something that is there.
expect_code 0 "$VMABAK" get -r -q a.vmab root:/etc/sub -C out
[ ! -s "$err" ] || fail "says with -q: $(cat "$err")"
same_file tree/etc/sub/numbers out/sub/numbers
expect_error 2 'out/sub: exists already' "$VMABAK" get -r a.vmab root:/etc/sub -C out
expect_error 2 'out/hostname: exists already' "$VMABAK" get -r a.vmab root:/etc/hostname -C out
expect_error 2 'root:/: names no folder that could be called the same: -o DIR gives a name' "$VMABAK" get -r a.vmab root:/ -C out
expect_code 0 "$VMABAK" get -r a.vmab root:/ -o out/all
same_file tree/etc/hostname out/all/etc/hostname
# No folder is no folder.
expect_error 2 'is a file: without --recursive' "$VMABAK" get -r a.vmab root:/etc/hostname -o out/x
expect_error 1 "file \`/none' not found" "$VMABAK" get -r a.vmab root:/none -o out/x
for wrong in '--force -o x' '-o -'; do
	# shellcheck disable=SC2086 # words
	expect_error 2 '--recursive makes a new folder' "$VMABAK" get -r a.vmab root:/etc $wrong
done

# A longer file is left out, and named.
expect_code 1 "$VMABAK" get -r --max-size 1000000 a.vmab root:/etc -o out/short
expect_text "$err" 'root:/etc/zeros: is longer than 1000000 bytes; --max-size' 'root:/etc/sub/numbers: is longer' \
	'out/short: is not whole'
[ "$(cat out/short/hostname)" = hello ] || fail "the others did not come"
[ ! -e out/short/zeros ] || fail "a part of it is there"

# A special file is none to be got.
mkfifo tree/etc/fifo
mkfs.ext4 -q -F -d tree root.raw
"$VMABAK" backup -q -o b.vmab root=root.raw
expect_code 3 "$VMABAK" get -r b.vmab root:/etc -o out/fifo
expect_text "$err" 'root:/etc/fifo: left out: a device, a socket or a pipe'

# By grub-fstest: without owners, modes and links.
mkdir -p plain/folder
seq 1 1000 >'plain/folder/a b'
: >plain/folder/empty
touch -d '2001-02-03 04:05:06 UTC' 'plain/folder/a b'
truncate -s 40M fat.raw
mkfs.vfat -F 32 fat.raw >fat.out
mcopy -s -m -i fat.raw plain/folder ::folder
cat >proto <<'END'
/
0 0
d--755 0 0
folder d--755 0 0
numbers ---644 0 0 tree/etc/sub/numbers
link l--777 0 0 numbers
away l--777 0 0 /nowhere
$
$
END
truncate -s 300M xfs.raw
mkfs.xfs -q -p proto xfs.raw
expect_code 0 "$VMABAK" backup -o c.vmab fat=fat.raw xfs=xfs.raw
expect_code 0 "$VMABAK" get -r c.vmab fat:/folder -o out/fat
expect_text "$err" '2 files, 0 links, 1 folders, ' 'read by grub-fstest; times of files are kept, but no owners, modes and links'
diff -r plain/folder out/fat || fail "not the same"
expect_code 3 "$VMABAK" get -r c.vmab xfs:/folder -o out/xfs
expect_text "$err" 'xfs:/folder: left out: away: links to folders or to nothing, devices, or what cannot be read'
same_file tree/etc/sub/numbers out/xfs/numbers
same_file tree/etc/sub/numbers out/xfs/link
[ -z "$(find out -name '*.part-*')" ] || fail "left: $(find out -name '*.part-*')"
# A file system that cannot sync a folder, as some of a network.
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	expect_code 0 strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EINVAL "$VMABAK" get -q -r a.vmab root:/etc/empty -o out/empty
	expect_code 1 strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO "$VMABAK" get -q -r a.vmab root:/etc/empty -o out/lost
fi
