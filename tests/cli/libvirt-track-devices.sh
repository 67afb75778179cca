# backup --track of a domain whose images lie on block devices: a device is known by what stays with it when it gets another
# number, so that one in the place of another is compared, whatever bitmap it has.
# long: starts a domain several times
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

need_root
need losetup
# give_back IMAGE: whatever device shows it; what showed it before may be somebody else's by now.
give_back()
{
	for lib_loop in $(losetup -n -O NAME -j "$1"); do
		chown root "$lib_loop"
		losetup -d "$lib_loop"
	done
}
# device IMAGE: $loop shows it, and libvirt may use it.
device()
{
	loop=$(losetup --show -f "$1" 2>/dev/null) || skip "no loop devices here"
	on_exit "give_back '$PWD/$1'"
	chown nobody "$loop"
}
block() # DEVICE TARGET
{
	disk qcow2 "$1" "$2" | sed "s/type='file'/type='block'/; s/source file=/source dev=/"
}
for name in a b; do
	make_random $name.raw 2097152 $name
	qemu-img convert -f raw -O qcow2 $name.raw $name.qcow2
	truncate -s 4M $name.qcow2
	device $name.qcow2
	eval "$name=\$loop"
done
images='vda:a.qcow2 vdb:b.qcow2'
n=0
mkdir scratch
chown nobody scratch
scratch="--scratch $PWD/scratch"
next() # CODE LISTED TEXT: an increment after a write to both.
{
	lib_code_of=$1 lib_listed=$2 lib_text=$3
	[ -n "${off:-}" ] || domain_writes 0 $((n + 1)) 64k 64k
	[ -n "${off:-}" ] || domain_writes 1 $((n + 2)) 512k 64k
	n=$((n + 1))
	backup $lib_code_of $n --track --parent $((n - 1)).vmab $scratch
	listed $n "$lib_listed"
	expect_text $n.err "$lib_text"
	is_now $n
}
# in_place DEVICE DEVICE: the domain is started anew with these.
in_place()
{
	as_user virsh -q destroy web
	as_user virsh -q undefine web --checkpoints-metadata
	paused_domain web "$(block "$1" vda) $(block "$2" vdb)"
}

paused_domain web "$(block "$a" vda) $(block "$b" vdb)"
backup 0 0 --track $scratch
next 0 '[1, 1]' unchanged
in_place "$a" "$b"
next 0 '[1, 1]' unchanged
# The other way round.
in_place "$b" "$a"
images='vda:b.qcow2 vdb:a.qcow2'
next 3 '[None, None]' 'drive vda: all of it is compared with the parent: its image was that of drive vdb'
next 0 '[1, 1]' unchanged
# Under other numbers.
as_user virsh -q destroy web
give_back "$PWD/a.qcow2"
give_back "$PWD/b.qcow2"
device b.qcow2
b=$loop
device a.qcow2
a=$loop
as_user virsh -q undefine web --checkpoints-metadata
paused_domain web "$(block "$b" vda) $(block "$a" vdb)"
next 0 '[1, 1]' unchanged
# A copy, on another device, with the bitmap.
as_user virsh -q destroy web
cp b.qcow2 c.qcow2
device c.qcow2
as_user virsh -q undefine web --checkpoints-metadata
paused_domain web "$(block "$loop" vda) $(block "$a" vdb)"
images='vda:c.qcow2 vdb:a.qcow2'
next 3 '[None, 1]' 'drive vda: all of it is compared with the parent: it lies on another device'
next 0 '[1, 1]' unchanged
# While the domain is off its images are read.
as_user virsh -q destroy web
off=yes scratch=
next 0 '[0, 0]' unchanged
next 0 '[0, 0]' unchanged
