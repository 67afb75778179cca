# What makes the bitmaps of an image lie, and old software, crashes and other files than the image: the increment is right
# each time. It compares all, or the proof finds what the bitmap does not tell.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io

write()
{
	lib_image=$1
	shift
	for lib_command; do
		qemu-io -f qcow2 -c "$lib_command" "$lib_image" >/dev/null
	done
}

# The bitmap that the first backup left.
bitmap()
{
	"$VMABAK" list --json 0.vmab | "$PYTHON" -c 'import json, sys; print("vmabak-" + json.load(sys.stdin)["uuid"])'
}

begin()
{
	rm -f ./*.vmab ./*.sums
	expect_code 0 "$VMABAK" backup -q --track -o 0.vmab a="$1"
}

# increment CODE HOW IMAGE [OPTION]...: exit code, and whether the list is "right", "wrong", or "none" is used.
increment()
{
	lib_code=$1 lib_how=$2 lib_image=$3
	shift 3
	expect_code "$lib_code" "$VMABAK" backup --audit 0 --track --parent 0.vmab --force -o 1.vmab "$@" a="$lib_image"
	cp "$err" "$TMPDIR/said"
	"$VMABAK" list --json 1.vmab >"$TMPDIR/list"
	expect_json "$TMPDIR/list" "((d['drives'][0]['proof'] or {'list': 'none'})['list']) == '$lib_how'"
	rm -rf back
	expect_code 0 "$VMABAK" restore -q 1.vmab -C back
	qemu-img compare -q -f qcow2 "$lib_image" -F raw back/a.raw || fail "$lib_how $lib_image: not what the image is"
}

# Grown: nothing tells what is new; the old bitmap is removed.
qemu-img create -q -f qcow2 a.qcow2 20M
write a.qcow2 'write -P 1 0 20M'
begin a.qcow2
qemu-img resize -q a.qcow2 30M
increment 0 none a.qcow2
expect_text "$TMPDIR/said" "another size"
[ "$(qemu-img info a.qcow2 | grep -c 'name: vmabak')" = 1 ] || fail "the old bitmap stayed"

# Cut off and grown again: what was cut off reads as zeros, and the bitmap says it is unchanged.
begin a.qcow2
qemu-img resize -q --shrink a.qcow2 10M
qemu-img resize -q a.qcow2 30M
increment 3 wrong a.qcow2
expect_text "$TMPDIR/said" "found by: holes"

# Broken: the program that had it open was killed.
begin a.qcow2
name=$(bitmap)
qemu-img bitmap --add a.qcow2 others
in_background qemu-nbd -t -k "$PWD/s" -f qcow2 a.qcow2
wait_until [ -S s ]
qemu-io -f raw -c 'write -P 5 3M 64k' -c flush "nbd+unix:///?socket=s" >/dev/null
kill -9 $pid
wait $pid 2>/dev/null || true
rm -f s
increment 0 none a.qcow2
expect_text "$TMPDIR/said" "killed"
! qemu-img info a.qcow2 | grep -q "$name" || fail "the broken bitmap stayed"
qemu-img info a.qcow2 | grep -q "name: others" || fail "a bitmap of others was removed"
qemu-img bitmap --remove a.qcow2 others

# Software that does not know of bitmaps has written: it clears the bit that says that they are right.
begin a.qcow2
write a.qcow2 'write -P 6 5M 64k'
"$PYTHON" -c 'file = open("a.qcow2", "r+b"); file.seek(88); file.write(bytes(8))'
increment 0 none a.qcow2

# Without compat=1.1 there are none.
begin a.qcow2
qemu-img amend -q -o compat=0.10 a.qcow2 2>/dev/null
write a.qcow2 'write -P 7 6M 64k'
expect_code 0 "$VMABAK" backup -q --parent 0.vmab -o 1.vmab a=a.qcow2
qemu-img amend -q -o compat=1.1 a.qcow2
increment 0 none a.qcow2

# Disabled, it records no more.
begin a.qcow2
qemu-img bitmap --disable a.qcow2 "$(bitmap)"
write a.qcow2 'write -P 8 7M 64k'
increment 0 none a.qcow2
expect_text "$TMPDIR/said" "disabled"

# Back to an internal snapshot, by QEMU refused while there are bitmaps.
rm a.qcow2
qemu-img create -q -f qcow2 a.qcow2 20M
write a.qcow2 'write -P 1 0 20M'
qemu-img snapshot -c old a.qcow2
write a.qcow2 'write -P 2 4M 1M'
begin a.qcow2
if qemu-img snapshot -a old a.qcow2 2>/dev/null; then increment 0 none a.qcow2; else increment 0 right a.qcow2; fi

# Another file below the image, or the same one written to: no bitmap and no table of the image tells.
qemu-img create -q -f qcow2 base.qcow2 20M
write base.qcow2 'write -P 1 0 20M'
cp base.qcow2 other.qcow2
write other.qcow2 'write -P 9 8M 64k'
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2
write over.qcow2 'write -P 2 1M 64k'
begin over.qcow2
write over.qcow2 'write -P 3 2M 64k'
increment 0 right over.qcow2
begin over.qcow2
qemu-img rebase -q -u -b other.qcow2 -F qcow2 over.qcow2
increment 0 none over.qcow2
begin over.qcow2
write other.qcow2 'write -P 10 9M 64k'
increment 0 none over.qcow2
# A safe rebase writes what differs; the files below are others all the same.
begin over.qcow2
qemu-img rebase -q -b base.qcow2 -F qcow2 over.qcow2
increment 0 none over.qcow2
# What is committed to the image below is written there, and its own bitmap tells.
begin base.qcow2
qemu-img commit -q over.qcow2
increment 0 right base.qcow2

# Another image under the same name, with the same bitmap: only the proof can tell.
begin base.qcow2
"$PYTHON" - <<'END'
# The data of cluster 100, behind the back of the image.
import struct
with open("base.qcow2", "r+b") as file:
    head = file.read(104)
    file.seek(struct.unpack_from(">Q", head, 40)[0])
    file.seek(struct.unpack(">Q", file.read(8))[0] & 0xfffffffffffe00)
    entries = struct.unpack(">320Q", file.read(8 * 320))
    for entry in entries[::2]:
        file.seek(entry & 0xfffffffffffe00)
        file.write(b"behind")
END
increment 3 wrong base.qcow2
