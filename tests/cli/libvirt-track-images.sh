# What libvirt does with the images of a domain between two backups with --track: snapshots, block commit and pull,
# another size, a revert. Increments after it are right, and fast where libvirt carried the bitmaps along.
# long: starts a domain several times
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 2097152
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
images='vda:a.qcow2'
[ "$(id -u)" != 0 ] || chown nobody .
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda)"
backup 0 0 --track
n=0
# next CODE LISTED: an increment after one more write, at 64k.
next()
{
	domain_writes 0 $((n + 1)) 64k 64k
	n=$((n + 1))
	backup $1 $n --track --parent $((n - 1)).vmab
	listed $n "$2"
	is_now $n
	checkpoints "$(of $n)"
}
snapshot() # IMAGE: an external one, whose top that is
{
	as_user virsh -q snapshot-create-as web s --disk-only --no-metadata --diskspec vda,file="$PWD/$1" >"$lv/said" 2>&1 ||
		fail "$(cat "$lv/said")"
	images="vda:$1"
}

domain_writes 0 11 256k 64k
snapshot b.qcow2
domain_writes 0 12 512k 64k
next 0 '[3]'
domain_writes 0 13 768k 64k
as_user virsh -q blockcommit web vda --active --pivot --wait
images='vda:a.qcow2'
domain_writes 0 14 1M 64k
next 0 '[3]'
domain_writes 0 15 256k 64k
snapshot c.qcow2
domain_writes 0 16 512k 64k
as_user virsh -q blockpull web vda --wait
next 0 '[3]'
# It grows, also where the parent has nothing; then it shrinks, and grows again: what was there is zeros now.
as_user virsh -q blockresize web vda 3M
domain_writes 0 17 2560k 64k
next 0 '[17]'
as_user virsh -q blockresize web vda 1M
as_user virsh -q blockresize web vda 3M
n=$((n + 1))
backup 3 $n --track --parent $((n - 1)).vmab
expect_text $n.err 'found by: holes'
is_now $n
next 0 '[1]'

# An internal snapshot of before, put back while the domain is off: QEMU's tools want the bitmaps to go first.
as_user virsh -q destroy web
qemu-img snapshot -c then c.qcow2
as_user virsh -q start --paused web
next 0 '[1]'
as_user virsh -q destroy web
! qemu-img snapshot -a then c.qcow2 2>/dev/null || fail 'a revert with bitmaps'
qemu-img bitmap --remove c.qcow2 "$(of $n)"
qemu-img snapshot -a then c.qcow2
as_user virsh -q start --paused web
next 3 '[None]'
next 0 '[1]'
# An older copy of the image, with its bitmap: the parent's is not in it.
as_user virsh -q destroy web
cp c.qcow2 older.qcow2
as_user virsh -q start --paused web
next 0 '[1]'
as_user virsh -q destroy web
cp older.qcow2 c.qcow2
as_user virsh -q start --paused web
next 3 '[None]'
next 0 '[1]'
