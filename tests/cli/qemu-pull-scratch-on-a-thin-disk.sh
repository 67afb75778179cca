# Scratch images on a disk that has less room than it claims: write-back loses pages of them. The backup fails, and no
# write of the guest does.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_root
need_images
need mkfs.ext4
begin_in_private_mounts

mkdir "$TMPDIR/thin" "$TMPDIR/disk"
mount -t tmpfs -o size=60M none "$TMPDIR/thin" 2>/dev/null || skip "may not mount here"
on_exit "umount -l '$TMPDIR/thin'"
truncate -s 1G "$TMPDIR/thin/disk"
loop_device "$TMPDIR/thin/disk"
mkfs.ext4 -q -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 "$loop"
mount "$loop" "$TMPDIR/disk" 2>/dev/null || skip "may not mount here"
on_exit "umount -l '$TMPDIR/disk'"

make_random a.raw 100663296 1
cp a.raw before.raw
start_daemon one --blockdev driver=file,filename=a.raw,node-name=file \
	--blockdev driver=raw,file=file,node-name=A --export type=nbd,id=a,node-name=A,name=A,writable=on
uri=$(export_uri A)
mkfifo pipe
"$VMABAK" backup -q "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$TMPDIR/disk" -o - >pipe 2>said &
backup=$!
exec 5<pipe
wait_until jobs_run
timeout 200 qemu-io -f raw -c 'write -q -P 3 0 96M' "$uri" >io 2>&1 || fail "the guest's write: $(cat io)"
[ ! -s io ] || fail "the guest's write: $(cat io)"
# What write-back has lost is no longer in memory, as when that is short.
"$PYTHON" -c 'import os, sys, time
os.sync()
for fd in os.listdir(sys.argv[1]):
    path = os.path.join(sys.argv[1], fd)
    if os.readlink(path).startswith(sys.argv[2]):
        os.posix_fadvise(os.open(path, os.O_RDONLY), 0, 0, os.POSIX_FADV_DONTNEED)' "/proc/$daemon/fd" "$TMPDIR/disk"
cat <&5 >a.vmab
code=0
wait $backup || code=$?
[ $code != 0 ] || {
	"$VMABAK" restore -q a.vmab -C out
	fail "it ended well, with $(cmp -l before.raw out/A.raw | wc -l) wrong bytes"
}
[ $code = 1 ] || fail "exit code $code: $(cat said)"
expect_text said 'scratch image' 'its file system lost data: No space left'
expect_code 4 "$VMABAK" verify a.vmab
nothing_in_qemu
