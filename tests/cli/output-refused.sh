# Where no archive can go: said at once, nothing created.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100000 1
mkdir folder.vmab
ln -s nowhere/x link.vmab
all=$(ls -A)
expect_error 2 'is a folder' "$VMABAK" backup -o folder.vmab drive.raw
expect_error 2 'is a folder' "$VMABAK" backup --force -o folder.vmab drive.raw
expect_error 1 'missing/a.vmab' "$VMABAK" backup -o missing/a.vmab drive.raw
expect_error 1 'drive.raw/a.vmab' "$VMABAK" backup -o drive.raw/a.vmab drive.raw
expect_error 2 'dangling symbolic link' "$VMABAK" backup -o link.vmab drive.raw
expect_error 1 'File name too long' "$VMABAK" backup -o "$(head -c 300 /dev/zero | tr '\0' x).vmab" drive.raw
[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
# The longest name that a file can have.
long=$(head -c 250 /dev/zero | tr '\0' x).vmab
expect_code 0 "$VMABAK" backup -o "$long" drive.raw
rm "$long"
if [ "$(id -u)" != 0 ]; then
	chmod 555 folder.vmab
	expect_error 1 'Permission denied' "$VMABAK" backup -o folder.vmab/a.vmab drive.raw
	chmod 755 folder.vmab
fi

need_terminal
for arguments in 'backup -o - drive.raw' 'backup -o /dev/stdout drive.raw' \
	'backup -o /dev/tty --format vmab drive.raw' 'list -' 'verify -' 'restore - -C back'; do
	expect_code 2 script -qec "\"\$VMABAK\" $arguments" /dev/null
	expect_text "$out" 'is a terminal'
done
[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
