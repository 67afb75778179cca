# A machine moves with QEMU's own migration of bitmaps to a QEMU that is tracked with another state folder. There they are orphans;
# checkpoint migrate adds them, too, and so what was written before the new map began to record is not missing. Those of a qcow2
# are in the image already when the old QEMU begins.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/moves.sh"

need qemu-system-x86_64 qemu-img
make_random a.raw 20971520 1
qemu-img convert -O qcow2 a.raw c.qcow2

for image in a.raw c.qcow2; do
	start_machine from
	backup 0 from s1 0.vmab --force
	ask from quit >said
	wait_until gone "$machine"
	start_machine from
	code=0
	[ $image = c.qcow2 ] || code=3
	backup $code from s1 1.vmab --parent 0.vmab --force
	write_in from 1 5M
	move_with_bitmaps
	expect_code 0 "$VMABAK" checkpoint list --json "qemu:$TMPDIR/to.qmp" --state s2
	expect_json "$out" "[x['state'] for x in d['checkpoints']] == ['orphan']"
	orphan=$("$PYTHON" -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["checkpoints"][0]["name"])' "$out")
	write_counted_in to 2 6M
	expect_code 0 "$VMABAK" checkpoint create start "qemu:$TMPDIR/to.qmp" --state s2
	migrate 1
	expect_text "$err" 'stays incomplete'
	migrate 0 --unwritten
	increment s2 2 3
	expect_code 0 "$VMABAK" checkpoint delete "$orphan" "qemu:$TMPDIR/to.qmp" --state s2
	write_in to 3 7M
	increment s2 3 2
	end_machines
	rm -r s1 s2
done
