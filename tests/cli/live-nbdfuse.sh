# nbdfuse shows a drive that vmabak serves as a file, and what is written there is in the drive.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need nbdfuse
[ -w /dev/fuse ] || skip "no /dev/fuse here"

make_drives 20975104
start_serve A=A.raw
: >fuse.raw
nbdfuse fuse.raw "$uri_A" >fuse.out 2>&1 &
fuse=$!
on_exit "fusermount3 -u '$PWD/fuse.raw' 2>/dev/null || umount '$PWD/fuse.raw' 2>/dev/null; kill $fuse 2>/dev/null"
wait_until test -s fuse.raw
printf hello | dd of=fuse.raw bs=1 seek=123456 conv=notrunc,fsync status=none
[ "$(dd if=fuse.raw bs=1 skip=123456 count=5 status=none)" = hello ] || fail "nbdfuse"
fusermount3 -u "$PWD/fuse.raw" 2>/dev/null || umount "$PWD/fuse.raw"
wait $fuse || fail "nbdfuse: $(cat fuse.out)"
[ "$(dd if=A.raw bs=1 skip=123456 count=5 status=none)" = hello ] || fail "what nbdfuse wrote is not in the drive"
stop_serve
