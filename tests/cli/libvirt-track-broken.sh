# virsh snapshot-revert of a domain with a checkpoint: it fails, and leaves the domain off, and with QEMU 7.2 the bitmap broken.
# The next backup is right, and compares then; later ones are fast again. Without the checkpoint the revert works, and so does
# the chain. A bitmap that a crash broke: its checkpoint is told as broken, and no drive can be resized until the next backup.
# long: starts a domain several times
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 2097152
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
images='vda:a.qcow2'
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda)"
as_user virsh -q snapshot-create-as web then
backup 0 0 --track
domain_writes 0 5 64k 64k
! as_user virsh -q snapshot-revert web then 2>revert.err || fail 'a revert with a checkpoint'
expect_text revert.err 'Device has active dirty bitmaps'
wait_until eval '[ "$(as_user virsh -q domstate web)" = "shut off" ]'

broken=$(qemu-img info --output json a.qcow2 | grep -c in-use || true)
backup 0 1 --track --parent 0.vmab
if [ "$broken" = 1 ]; then
	expect_text 1.err 'drive vda: all of it is compared: the bitmap of the last backup is of no use'
	listed 1 '[None]'
else
	listed 1 '[1]'
fi
is_now 1
as_user virsh -q start --paused web
n=1
next() # CODE LISTED: an increment after a write
{
	domain_writes 0 $((n + 6)) 128k 64k
	n=$((n + 1))
	backup $1 $n --track --parent $((n - 1)).vmab
	listed $n "$2"
	is_now $n
	checkpoints "$(of $n)"
}
next 0 '[1]'
next 0 '[1]'
expect_code 0 as_user "$vmabak" checkpoint delete --force "$(of $n)" libvirt:web
as_user virsh -q snapshot-revert web then
next 3 '[None]'
expect_text $n.err "drive vda: all of it is compared with the parent"
next 0 '[1]'

# A crash breaks bitmaps that QEMU has found in images. libvirt does not say so.
as_user virsh -q destroy web
as_user virsh -q start --paused web
kill -9 "$(cat "$lv/r/libvirt/qemu/run/web.pid")"
wait_until eval '[ "$(as_user virsh -q domstate web)" = "shut off" ]'
as_user virsh -q start --paused web
expect_code 0 as_user "$vmabak" checkpoint list --json libvirt:web
expect_json "$out" "[(c['name'], c['state'], [(d['name'], d['changed_bytes']) for d in c['drives']]) for c in d['checkpoints']
	] == [('$(of $n)', 'broken', [('vda', 2097152)])]"
expect_code 0 as_user "$vmabak" checkpoint list libvirt:web
expect_text "$out" '  broken  '
expect_code 0 as_user "$vmabak" checkpoint size "$(of $n)" libvirt:web
expect_text "$out" 'drive vda: 2.0 MiB (2097152 bytes) in all: what recorded since is lost or broken'
expect_code 2 as_user "$vmabak" checkpoint size libvirt:web
expect_text "$err" 'there is no checkpoint yet'
! as_user virsh -q blockresize web vda 3M 2>"$lv/said" || fail 'a drive with a broken bitmap was resized'
expect_text "$lv/said" 'is inconsistent'
next 3 '[None]'
as_user virsh -q blockresize web vda 3M
next 0 '[17]'
