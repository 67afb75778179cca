# backup --track of a domain of libvirt that is now off, now running: increments find what changed by the bitmaps in its
# images, whichever way the parent was made.
# long: starts a domain several times
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
need qemu-io
. "$CLI/tracked.sh"

for name in a b; do
	make_random $name.raw 2097152 $name
	qemu-img convert -f raw -O qcow2 $name.raw $name.qcow2
done
images='vda:a.qcow2 vdb:b.qcow2'
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda) $(disk qcow2 "$PWD/b.qcow2" vdb)"
bitmaps() # IMAGE: names
{
	qemu-img info -U --output json "$1" | "$PYTHON" -S -c 'import json, sys
print(*[x["name"] for x in json.load(sys.stdin)["format-specific"]["data"].get("bitmaps", [])])'
}
backup 0 0 --track
n=0
next() # CODE LISTED [OPTION]...
{
	lib_code_here=$1 lib_listed=$2
	shift 2
	n=$((n + 1))
	backup $lib_code_here $n --track --parent $((n - 1)).vmab "$@"
	listed $n "$lib_listed"
	is_now $n
}
domain_writes 0 5 64k 64k
as_user virsh -q destroy web
# Off, after a backup of it running: and again.
next 0 '[1, 0]'
expect_json $n.json "d['n_tracked'] == 2"
[ "$(bitmaps a.qcow2)" = "$(of $n)" ] || fail "bitmaps: $(bitmaps a.qcow2)"
as_user qemu-io -f qcow2 -c 'write -q -P 9 1M 64k' b.qcow2
next 0 '[0, 1]'
# Running, after a backup of it off: libvirt is told of the checkpoint, and forgets the one that went.
as_user virsh -q start --paused web
domain_writes 1 6 256k 128k
next 0 '[0, 2]'
expect_text $n.err 'libvirt had lost checkpoint'
checkpoints "$(of $n)"
domain_writes 1 7 256k 64k
next 0 '[0, 1]'
checkpoints "$(of $n)"

# Images that change places: both have a bitmap of that name.
as_user virsh -q destroy web
mv a.qcow2 c.qcow2
mv b.qcow2 a.qcow2
mv c.qcow2 b.qcow2
as_user virsh -q start --paused web
next 3 '[None, None]'
expect_text $n.err 'drive vda: all of it is compared with the parent: its image was that of drive vdb'
next 0 '[0, 0]'
as_user virsh -q destroy web
mv a.qcow2 c.qcow2
mv b.qcow2 a.qcow2
mv c.qcow2 b.qcow2
next 0 '[None, None]'
