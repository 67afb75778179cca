# vmabak get: what reads file systems can open nothing but the drives and the system's programs, so none of this folder.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need_sandbox
need grub-fstest mkfs.ext4

mkdir tree bin scratch
echo small >tree/small
truncate -s 4M root.raw
mkfs.ext4 -q -F -d tree root.raw
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw
ln -s "$(command -v fusermount3)" bin
cp "$(command -v grub-fstest)" bin
case $PWD in /usr/*) skip "this folder is the system's" ;; esac
expect_error 1 'starting grub-fstest: Permission denied' env PATH="$PWD/bin" TMPDIR="$PWD/scratch" "$VMABAK" get a.vmab root:/small -o -
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"
# A folder for the mount that is named from here.
expect_code 0 env TMPDIR=scratch "$VMABAK" get a.vmab root:/small -o -
[ "$(cat "$out")" = small ] || fail "not the file"
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"
