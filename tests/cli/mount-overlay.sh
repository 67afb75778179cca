# vmabak mount --overlay: what is written to the files of drives goes there, outlives the mount and its death, and the archive
# stays as it was; a full overlay is no room left for the writer, and never a wrong read.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
begin_in_private_mounts

make_image root.raw 8
make_random data.raw 3000000 2
printf 'one = 1\n' >web.conf
expect_code 0 "$VMABAK" backup -o a.vmab -c web.conf root=root.raw data=data.raw
sha256sum a.vmab >sum
cp data.raw model
mkdir mnt small
with_overlay()
{
	expect_code 0 "$VMABAK" mount --overlay "$1" a.vmab mnt
	server=$(server_of mnt)
	on_exit "kill $server 2>/dev/null"
}

with_overlay o
# The same to the model and to the drive; only fsync makes it durable.
"$PYTHON" -S - <<'END' || fail "what was written does not read back"
import mmap, os, random
rng = random.Random(5)
files = [os.open(name, os.O_RDWR) for name in ("model", "mnt/data.raw")]
size = os.fstat(files[0]).st_size
def both(do):
    for file in files:
        do(file)
for i in range(200):
    at = rng.randrange(size)
    data = rng.randbytes(rng.choice((1, 512, 4096, 70000)))[:size - at]
    both(lambda file: os.pwrite(file, data, at))
for file in files:
    with mmap.mmap(file, 0) as one:
        one[100000:100010] = b"mapped it!"
        one.flush()
assert os.pread(files[0], size, 0) == os.pread(files[1], size, 0)
# It keeps its size.
for end in (size, size + 5):
    try:
        os.pwrite(files[1], b"x", end)
        raise SystemExit("written past the end")
    except OSError:
        pass
for change in (lambda: os.truncate("mnt/data.raw", 0), lambda: os.chmod("mnt/data.raw", 0o600), lambda: open("mnt/web.conf", "r+")):
    try:
        change()
        raise SystemExit("changed")
    except OSError:
        pass
assert os.fstat(files[1]).st_size == size
os.utime("mnt/data.raw")
os.fsync(files[1])
os.pwrite(files[1], b"perhaps", 0)
END
fallocate -p -o 131072 -l 65536 mnt/data.raw
fallocate -p -o 131072 -l 65536 model
same_file web.conf mnt/web.conf
sync mnt/data.raw
# Killed, nothing that was synced is lost.
kill -9 "$server"
wait_until dead "$server"
with_overlay o
dd if=mnt/data.raw bs=1 count=7 status=none >first
[ "$(cat first)" = perhaps ] || fail "not what was synced: $(cat first)"
printf perhaps | dd of=model conv=notrunc status=none
same_file model mnt/data.raw
same_file root.raw mnt/root.raw
# Nor what was not, by umount.
printf 'the end' | dd of=mnt/data.raw conv=notrunc status=none
printf 'the end' | dd of=model conv=notrunc status=none
wait_until umount mnt 2>umount.err
wait_until dead "$server"
with_overlay o
same_file model mnt/data.raw
expect_error 7 'o: the overlay is in use' "$VMABAK" export --overlay o --nbd unix:n.sock a.vmab
wait_until umount mnt 2>umount.err
wait_until dead "$server"

# Memory keeps nothing.
with_overlay memory
printf 'gone' | dd of=mnt/data.raw conv=notrunc status=none
[ "$(head -c 4 mnt/data.raw)" = gone ] || fail "not written"
wait_until umount mnt 2>umount.err
wait_until dead "$server"
with_overlay memory
same_file data.raw mnt/data.raw
wait_until umount mnt 2>umount.err
wait_until dead "$server"

# A full one.
mount -t tmpfs -o size=2M tmpfs small || skip "no tmpfs here"
on_exit "umount \"$PWD/small\""
with_overlay small/o
"$PYTHON" -S - <<'END' || fail "a full overlay"
import errno, os
file, old = os.open("mnt/data.raw", os.O_RDWR), open("data.raw", "rb").read()
model, full = bytearray(old), 0
for at in range(0, len(model) - 65536, 65536):
    data = bytes([at // 65536 + 1]) * 65536
    try:
        n = os.pwrite(file, data, at)
        model[at:at + n] = data[:n]
        if n == 65536:
            continue
        at += n
    except OSError as error:
        assert error.errno in (errno.ENOSPC, errno.EIO), error
        full += 1
    found = os.pread(file, 65536, at) # of a write that failed a part may be there
    for i in range(0, len(found), 4096):
        assert found[i:i + 4096] in (data[:4096], old[at + i:at + i + 4096]), (at, i)
    model[at:at + len(found)] = found
assert full > 5, full
assert os.pread(file, len(model), 0) == model
os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
assert os.pread(file, len(model), 0) == model
END
wait_until umount mnt 2>umount.err
wait_until dead "$server"
sha256sum -c --quiet sum || fail "the archive was changed"

# A file system on it, through a loop device.
with_overlay o2
device=$(losetup --find --show mnt/root.raw 2>lo.err) || skip "no loop devices here: $(cat lo.err)"
on_exit "losetup -d $device 2>/dev/null"
mkdir fs
mount "$device" fs
on_exit "umount '$PWD/fs' 2>/dev/null"
seq 1 200000 | cmp - fs/folder/numbers || fail "not the file"
rm fs/folder/numbers
seq 1 300000 >fs/new
umount fs
losetup -d "$device"
e2fsck -fn mnt/root.raw >fsck.out 2>&1 || fail "the file system is broken: $(cat fsck.out)"
wait_until umount mnt 2>umount.err
wait_until dead "$server"
with_overlay o2
device=$(losetup --find --show --read-only mnt/root.raw)
on_exit "losetup -d $device 2>/dev/null"
mount -o ro "$device" fs
seq 1 300000 | cmp - fs/new || fail "what was written is lost"
[ ! -e fs/folder/numbers ] || fail "what was removed is there"
umount fs
losetup -d "$device"
wait_until umount mnt 2>umount.err
sha256sum -c --quiet sum || fail "the archive was changed"
