# A machine moves with QEMU's own migration of bitmaps to a QEMU whose node has another name, which QEMU takes no bitmaps to, while
# it calls the migration completed: the next increment compares, and says so, and the one after that is of what changed.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/moves.sh"

need qemu-system-x86_64 qemu-img
make_random a.raw 20971520 1
qemu-img convert -O qcow2 a.raw b.qcow2

for image in a.raw b.qcow2; do
	node=A
	start_machine from
	backup 0 from s1 0.vmab --force
	write_in from 1 5M
	node=other
	move_with_bitmaps
	write_in to 2 6M
	backup 3 to s1 1.vmab --parent 0.vmab --force
	expect_text "$err" 'drive A: all of it is compared with the parent: its changes were not recorded: QEMU was started anew'
	holds 1.vmab
	write_in to 3 7M
	increment s1 2 2
	end_machines
	rm -r s1
done
