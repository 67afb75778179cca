# vmabak snapshot of a domain of libvirt: its disks at one instant, with what changed since the checkpoint of a backup, for
# other programs, while it runs. However it ends, no job of it is left, and the chain goes on.
# long: starts a domain
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"
. "$CLI/snapshot.sh"
need nbdinfo nbdcopy

make_random a.raw 8388608
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
make_random b.raw 4194304 2
qemu-img convert -f raw -O qcow2 b.raw b.qcow2
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda) $(disk qcow2 "$PWD/b.qcow2" vdb)"
images='vda:a.qcow2 vdb:b.qcow2'
start_snapshot() { snapshot_of as_user "$vmabak" snapshot libvirt:web "$@"; }
keep_truth()
{
	qemu-img convert -U -f qcow2 -O raw a.qcow2 a.then
	qemu-img convert -U -f qcow2 -O raw b.qcow2 b.then
}

expect_error 2 'is not by vmabak' as_user "$vmabak" snapshot libvirt:web --nbd unix:s.sock --since none
backup 0 full --track
domain_writes 0 5 1M 100k
keep_truth
since=$(of full)
start_snapshot --since "$since"
domain_writes 0 6 0 3M
domain_writes 1 7 0 2M
expect_code 0 nbdcopy "$(uri vda)" a.now
expect_code 0 nbdcopy "$(uri vdb)" b.now
expect_code 0 nbdinfo --json --map="qemu:dirty-bitmap:$since" "$(uri vda)"
expect_json "$out" "sum(e['length'] for e in d if e['type'] & 1) == 2 * 65536"
expect_code 0 nbdinfo --json --map="qemu:dirty-bitmap:$since" "$(uri vdb)"
expect_json "$out" "[e['type'] & 1 for e in d] == [0]"
same_file a.then a.now
same_file b.then b.now
kill $snapshot
ended_with 0 $snapshot
nothing_in_libvirt
checkpoints "$since"
backup 0 one --track --parent full.vmab
listed one "[48, 32]"
is_now one

# Another program ends the job, and so the snapshot; and one is killed.
start_snapshot -d vda
as_user virsh -q domjobabort web
ended_with 1 $snapshot
expect_text snapshot.err 'ended early'
nothing_in_libvirt
start_snapshot -d vda
kill -9 $snapshot
wait $snapshot 2>/dev/null || :
wait_until eval '! backup_runs'
nothing_in_libvirt
backup 0 two --track --parent one.vmab
listed two "[0, 0]"
