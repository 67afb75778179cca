# Whatever becomes of a checkpoint that --track left, the next increment is right: a disk whose bitmap is of no use is
# compared, with a reason and exit code 3, the others are not, and the one after that is fast again.
# long: starts a domain several times
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 4194304
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
make_random b.raw 2097152 2
qemu-img convert -f raw -O qcow2 b.raw b.qcow2
qemu-img create -q -f qcow2 -o compat=0.10 old.qcow2 1M
disks="$(disk qcow2 "$PWD/a.qcow2" vda) $(disk qcow2 "$PWD/b.qcow2" vdb)"
paused_domain web "$disks $(disk qcow2 "$PWD/old.qcow2" vdc)"
n=0 images="vda:a.qcow2 vdb:b.qcow2"
backup 0 0 --track
expect_text 0.err 'drive vdc: nothing can record its changes'

# next CODE LISTED TEXT [OPTION]...: an increment, with --track, after a write to both disks; LISTED as in listed; TEXT
# in what it says. It is right, and has one checkpoint.
next()
{
	lib_code_here=$1 lib_listed=$2 lib_text_here=$3
	shift 3
	domain_writes 0 $((n + 1)) $((n % 60 * 64))k 64k
	domain_writes 1 $((n + 2)) 1M 64k
	n=$((n + 1))
	backup $lib_code_here $n --track --parent $((n - 1)).vmab "$@"
	listed $n "$lib_listed"
	expect_text $n.err "$lib_text_here"
	is_now $n
	checkpoints "$(of $n)"
}
restart() # [COMMAND]: of virsh, that ends it
{
	as_user virsh -q "${1:-destroy}" web
	as_user virsh -q start --paused web
}
quiet=unchanged # what an increment says in any case

next 0 '[1, 1, None]' $quiet
# In order: QEMU keeps the bitmaps in the images.
restart
next 0 '[1, 1, None]' $quiet
# A crash.
kill -9 "$(cat "$lv/r/libvirt/qemu/run/web.pid")"
wait_until eval '[ "$(as_user virsh -q domstate web)" = "shut off" ]'
as_user virsh -q start --paused web
# What a rebuild does elsewhere the next increment does here.
expect_error 2 "'vmabak backup --track --parent $n.vmab -o NEW libvirt:web' compares once" \
	as_user "$vmabak" checkpoint rebuild --parent $n.vmab libvirt:web
next 3 '[None, None, None]' 'drive vdb: all of it is compared with the parent: the bitmap of the checkpoint is lost or broken'
expect_text $n.err 'drive vda: all of it'
next 0 '[1, 1, None]' $quiet
# One bitmap that somebody removes, or stops.
node=$(as_user virsh -q qemu-monitor-command web '{"execute":"query-named-block-nodes","arguments":{"flat":true}}' |
	"$PYTHON" -S -c 'import json, sys
print(*[x["node-name"] for x in json.load(sys.stdin)["return"] if x["drv"] == "qcow2" and x["file"].endswith("b.qcow2")])')
bitmap() # COMMAND NAME: of b.qcow2
{
	as_user virsh -q qemu-monitor-command web "{\"execute\":\"block-dirty-bitmap-$1\",
		\"arguments\":{\"node\":\"$node\",\"name\":\"$2\"${3:-}}}" >"$lv/said"
	expect_text "$lv/said" '"return"'
}
for command in remove disable; do
	bitmap $command "$(of $n)"
	next 3 '[1, None, None]' 'drive vdb: all of it is compared with the parent: the bitmap of the checkpoint is lost or broken'
	expect_no_text $n.err 'drive vda: all of it'
	next 0 '[1, 1, None]' $quiet
done
# libvirt refuses to make the checkpoint, as the name is taken in an image: the backup is made, and the parent's stays.
bitmap add vmabak-11111111-2222-3333-4444-555555555555 ',"persistent":true'
backup 3 refused --track --parent $n.vmab --uuid 11111111-2222-3333-4444-555555555555
expect_text refused.err 'nothing records what changes from now on'
listed refused '[0, 0, None]'
is_now refused
checkpoints "$(of $n)"
next 0 '[1, 1, None]' $quiet
# libvirt forgets: the bitmaps are still there.
as_user virsh -q checkpoint-delete web --metadata "$(of $n)"
next 0 '[1, 1, None]' 'libvirt had lost checkpoint'
as_user virsh -q destroy web
as_user virsh -q undefine web --checkpoints-metadata
as_user virsh -q define "$lv/web.xml"
as_user virsh -q start --paused web
next 0 '[1, 1, None]' 'libvirt had lost checkpoint'
# Gone altogether; made by somebody else, of the same name; told to libvirt, but not there.
as_user virsh -q checkpoint-delete web "$(of $n)"
next 3 '[None, None, None]' "libvirt has no checkpoint of the parent's"
as_user virsh -q checkpoint-delete web "$(of $n)"
forge()
{
	cat >"$lv/forged.xml" <<-END
	<domaincheckpoint><name>$(of $n)</name>$1<disks><disk name='vda' checkpoint='bitmap'/><disk name='vdb' checkpoint='bitmap'/>
	<disk name='vdc' checkpoint='no'/></disks></domaincheckpoint>
	END
}
forge ''
as_user virsh -q checkpoint-create web "$lv/forged.xml"
next 3 '[None, None, None]' 'the checkpoint of that name is not by vmabak'
as_user virsh -q checkpoint-delete web "$(of $n)"
forge '<creationTime>1700000000</creationTime><description>of a backup by vmabak</description>'
as_user virsh -q checkpoint-create web "$lv/forged.xml" --redefine
next 3 '[None, None, None]' 'the bitmap of the checkpoint is lost or broken'
# libvirtd is killed between two backups.
kill_libvirtd
start_libvirt
next 0 '[1, 1, None]' $quiet
