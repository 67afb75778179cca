# A copy that is not what it should be gets no name, and an image that it was to replace stays.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need_libnbd
need nbdkit
nbdkit --dump-plugin sh >/dev/null 2>&1 || skip "nbdkit takes no scripts here"
serve_nbdkit moody sh - <<'END'
case $1 in
get_size) echo 262144 ;;
pread) head -c $3 /dev/urandom ;;
*) exit 2 ;;
esac
END
moody=$(nbd_uri moody)

# copied NAME: nothing but NAME is there, if it was.
copied()
{
	expect_error 4 "$1: differs from $moody" "$VMABAK" copy --force "$moody" "$1"
	[ -z "$(ls -A | grep '\.part$')" ] || fail "left: $(ls -A)"
}
copied new.raw
copied new.qcow2
[ ! -e new.raw ] && [ ! -e new.qcow2 ] || fail 'a copy that differs has a name'
make_random drive.raw 262144 1
qemu-img convert -O qcow2 drive.raw old.qcow2
copied old.qcow2
qemu-img compare -f raw -F qcow2 drive.raw old.qcow2 >/dev/null || fail 'the old image is gone'

# Unless nobody looks; and a raw image may hold another.
expect_code 0 "$VMABAK" copy --no-verify "$moody" new.raw
expect_code 0 "$VMABAK" copy old.qcow2,format=raw as-it-is.raw
same_file old.qcow2 as-it-is.raw
