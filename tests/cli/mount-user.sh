# vmabak mount by an ordinary user, and loop devices of root's on it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
[ "$(id -u)" = 0 ] || skip "needs root, to become somebody else"
need setpriv unshare

make_image root.raw 8
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw
chmod 644 a.vmab
mkdir mnt own
chown 65534 own
cp "$VMABAK" own/vmabak

# With a /dev/fuse as systems have it, which this one may not.
mknod fuse c 10 229
chmod 666 fuse
cat >as_user <<'END'
set -e
own/vmabak mount a.vmab own/mnt
cmp root.raw own/mnt/root.raw
fusermount3 -u own/mnt
! grep -q own/mnt /proc/self/mountinfo
own/vmabak mount --overlay own/o a.vmab own/mnt
printf written | dd of=own/mnt/root.raw conv=notrunc,fsync status=none
[ "$(head -c 7 own/mnt/root.raw)" = written ]
fusermount3 -u own/mnt
! cmp -s root.raw own/mnt/root.raw
END
mkdir own/mnt
chown 65534 own/mnt
# This folder is open to nobody else under its own name.
unshare -m sh -ec 'mount --bind fuse /dev/fuse
mount --bind . /mnt
cd /mnt
exec setpriv --reuid=65534 --regid=65534 --clear-groups sh as_user' >user.out 2>&1 || fail "$(cat user.out)"

# A file system of it, through a loop device.
mounts mnt a.vmab
device=$(losetup --find --show --read-only mnt/root.raw 2>lo.err) || skip "no loop devices here: $(cat lo.err)"
on_exit "losetup -d $device 2>/dev/null"
mkdir fs
mount -o ro,noload "$device" fs
on_exit "umount '$PWD/fs' 2>/dev/null"
seq 1 200000 | cmp - fs/folder/numbers || fail "not the file"
umount fs
losetup -d "$device"
