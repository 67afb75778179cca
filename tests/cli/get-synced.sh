# A file that goes into another by standard output is on the disk when the command ends well.
. "$(dirname "$0")/lib.sh"

need grub-fstest debugfs mkfs.ext4
[ -c /dev/fuse ] && [ -w /dev/fuse ] || skip "no /dev/fuse that can be used here"
need_strace
mkdir root
echo content >root/file
truncate -s 2M a.raw
mkfs.ext4 -q -F -d root a.raw
expect_code 0 "$VMABAK" backup -q -o a.vmab root=a.raw
# got OPTION...: where nothing can be made durable.
got()
{
	strace -f -qq -o "$TMPDIR/trace" -e trace=fsync -e inject=fsync:error=EIO "$VMABAK" get a.vmab root:/file "$@" >file
}
expect_code 1 got -o -
expect_text "$err" 'standard output: syncing'
expect_code 0 got -o - --no-sync
same_file root/file file
