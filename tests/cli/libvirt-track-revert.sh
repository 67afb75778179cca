# virsh snapshot-revert of a domain with a checkpoint: it fails, and leaves the domain off and the bitmap broken. The next
# backup compares and is right, and later ones are fast again. Without the checkpoint the revert works, and so does the chain.
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

backup 0 1 --track --parent 0.vmab
expect_text 1.err 'drive vda: all of it is compared: the bitmap of the last backup is of no use'
listed 1 '[None]'
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
