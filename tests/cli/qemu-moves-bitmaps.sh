# A machine moves with QEMU's own migration of bitmaps (dirty-bitmaps), raw and qcow2: the new QEMU has those by which the old
# one was tracked, and goes on with the same state folder. The next increments are of what changed, and right.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/moves.sh"

need qemu-system-x86_64 qemu-img
make_random a.raw 20971520 1
qemu-img convert -O qcow2 a.raw b.qcow2

for image in a.raw b.qcow2; do
	start_machine from
	backup 0 from s1 0.vmab --force
	write_in from 1 5M
	move_with_bitmaps
	write_in to 2 6M
	increment s1 1 3
	write_in to 3 7M
	increment s1 2 2
	end_machines
	rm -r s1
done
