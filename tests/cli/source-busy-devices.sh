# A device that is mounted is neither read without a word nor ever written.
. "$(dirname "$0")/lib.sh"

need_root
make_image drive.raw 16
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
loop_device drive.raw
mkdir mounted
cp drive.raw before
# shellcheck disable=SC2016 # for the inner shell
expect_code 0 in_private_mounts sh -c '
	mount -o ro "$1" mounted || exit 77
	"$VMABAK" backup -o b.vmab "$1" 2>first
	[ $? = 7 ] || exit 1
	"$VMABAK" restore a.vmab --force -d disk0="$1" 2>second
	[ $? = 7 ] || exit 2
	"$VMABAK" backup --allow-writers -o c.vmab "$1" || exit 4
	umount mounted' sh "$loop"
for file in first second; do
	expect_text $file "$loop: is mounted or otherwise in use"
done
same_file before drive.raw
[ ! -e b.vmab ] && [ -e c.vmab ] || fail "b.vmab or not c.vmab"
