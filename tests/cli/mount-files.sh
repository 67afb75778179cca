# vmabak mount: the drives and configs of an archive as files.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"

make_image root.raw 8
make_random data.raw 3000000 2
printf 'one = 1\n' >web.conf
expect_code 0 "$VMABAK" backup -o a.vmab -c web.conf root=root.raw data=data.raw
mkdir mnt
mounts mnt a.vmab
[ "$(ls mnt | tr '\n' ' ')" = 'data.raw root.raw web.conf ' ] || fail "in it: $(ls mnt)"
same_file root.raw mnt/root.raw
same_file data.raw mnt/data.raw
same_file web.conf mnt/web.conf

# Holes are told as such.
"$PYTHON" -S -c 'import os
at, holes = 0, 0
file = os.open("mnt/root.raw", os.O_RDONLY)
size = os.fstat(file).st_size
while at < size:
    hole = os.lseek(file, at, os.SEEK_HOLE)
    try:
        at = os.lseek(file, hole, os.SEEK_DATA) if hole < size else size
    except OSError:
        at = size
    assert not os.pread(file, at - hole, hole).strip(b"\0"), hole
    holes += at - hole
assert size // 4 < holes < size, (holes, size)
try:
    os.lseek(file, size, os.SEEK_DATA)
    raise SystemExit("past the end")
except OSError:
    pass' || fail "the holes are not right"

# It can be mapped, and not written.
"$PYTHON" -S -c 'import mmap, os
one = mmap.mmap(os.open("mnt/data.raw", os.O_RDONLY), 0, mmap.MAP_SHARED, mmap.PROT_READ)
assert one[:] == open("data.raw", "rb").read()' || fail "cannot be mapped"
! touch mnt/new 2>/dev/null || fail "a file was made in it"
! sh -c ': >>mnt/root.raw' 2>/dev/null || fail "a drive was opened for writing"

# A second mount would hide it.
expect_error 7 'an archive is mounted there; umount ends it' "$VMABAK" mount a.vmab mnt
[ "$(n_mounts mnt)" = 1 ] || fail "mounted twice"

# umount ends the process that serves it.
fusermount3 -u mnt
wait_until dead "$server"

# So does SIGTERM, even while a file is in use; then it was not in vain.
in_background "$VMABAK" mount --foreground a.vmab mnt
wait_until test -f mnt/root.raw
exec 5<mnt/root.raw
kill "$pid"
ended_with 0 "$pid"
exec 5<&-
[ "$(n_mounts mnt)" = 0 ] || fail "still mounted"

# Into a pipe it says when it serves; one that ends before says nothing, and is a failure of the one that started it.
"$VMABAK" mount --foreground a.vmab mnt | {
	read -r word
	[ "$word" = mounted ] && [ -f mnt/root.raw ] && fusermount3 -u mnt
} || fail "not told"
expect_code 1 "$VMABAK" mount a.vmab none --json
expect_json "$out" "'none: No such file' in d['error']['message']"

# One whose server was killed is removed, and told.
mounts mnt a.vmab
ls -l mnt >ls.out
kill -9 "$server"
wait_until dead "$server"
! cat mnt/web.conf >cat.out 2>&1 || [ "$(n_mounts mnt)" = 1 ] || fail "not dead"
mounts mnt a.vmab
expect_text "$err" 'mnt: a mount whose server had gone is removed'
[ "$(n_mounts mnt)" = 1 ] || fail "mounted over the dead one"
same_file data.raw mnt/data.raw
fusermount3 -u mnt
wait_until dead "$server"

# What cannot be.
expect_error 1 'none.vmab: No such file' "$VMABAK" mount none.vmab mnt
expect_error 1 'nowhere: No such file' "$VMABAK" mount a.vmab nowhere
expect_error 2 'web.conf: is not a folder' "$VMABAK" mount a.vmab web.conf
expect_error 2 'too few arguments' "$VMABAK" mount a.vmab
gzip -k a.vmab
expect_error 1 "only be read from its beginning to its end: gzip; 'vmabak export --cache-file FILE'" "$VMABAK" mount a.vmab.gz mnt
[ "$(n_mounts mnt)" = 0 ] || fail "mounted"
mounts mnt --cache-file kept a.vmab.gz
expect_text "$err" 'can only be read from its beginning'
same_file data.raw mnt/data.raw
[ ! -e kept ] || fail "the cache file has a name"
fusermount3 -u mnt
wait_until dead "$server"
# With all options that are handed on.
mounts mnt --quiet --cache 64M --cache-file kept --overlay memory --s3-endpoint http://nowhere a.vmab.gz
same_file data.raw mnt/data.raw
fusermount3 -u mnt
wait_until dead "$server"
