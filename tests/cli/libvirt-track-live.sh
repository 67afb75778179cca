# Increments of a machine of libvirt that writes all the while, by its checkpoints: full, increment, failed increment,
# increment again, of qcow2 and beside a raw disk; and snapshots for NBD clients in between. Every instant is what the guest
# had written at one moment.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_guest_in_libvirt
. "$CLI/tracked.sh"
. "$CLI/snapshot.sh"

make_drives 20975104 12586496
qemu-img convert -f raw -O qcow2 A.raw A.qcow2
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
start_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk qcow2 "$PWD/A.qcow2" vdb) $(disk raw "$PWD/B.raw" vdc)"
n=0
# take CODE [OPTION]...: a backup, and whether it is of one instant.
take()
{
	lib_code_of=$1
	shift
	backup "$lib_code_of" $n --track -d A=vdb -d B=vdc "$@"
	expect_code 0 "$VMABAK" restore -q --parents . $n.vmab -C $n
	judge $n/A.raw $n/B.raw || fail "backup $n: $(cat judgement)"
	checkpoints "$(of $n)"
	rm -r $n
	lib_before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$lib_before" ]'
}
# copy_of DISK...: of a snapshot, by another program, while the guest writes; the options of the snapshot are in $lib_options.
copy_of()
{
	lib_before=$(guest_files)
	snapshot_of as_user "$vmabak" snapshot libvirt:web $(printf ' -d %s' "$@") $lib_options
	wait_until eval '[ "$(guest_files)" -gt "$lib_before" ]'
	for lib_disk; do
		expect_code 0 nbdcopy --request-size=8388608 "$(uri $lib_disk)" $lib_disk.now
		[ -z "$lib_options" ] ||
			nbdinfo --json --map="qemu:dirty-bitmap:${lib_options#--since }" "$(uri $lib_disk)" >$lib_disk.map
	done
	kill $snapshot
	ended_with 0 $snapshot
}
# look: a copy is of one instant; and that of a disk that has a checkpoint names all that differs from the last archive.
look()
{
	lib_options=
	copy_of vdb vdc
	judge vdb.now vdc.now || fail "a snapshot after backup $n: $(cat judgement)"
	lib_options="--since $(of $n)"
	copy_of vdb
	expect_code 0 "$VMABAK" restore -q --parents . $n.vmab -d A=A.then
	"$PYTHON" -S -c 'import json
old, new = open("A.then", "rb").read(), open("vdb.now", "rb").read()
dirty = {at for e in json.load(open("vdb.map")) if e["type"] & 1
         for at in range(e["offset"], e["offset"] + e["length"], 65536)}
differs = {at for at in range(0, len(new), 65536) if old[at:at + 65536] != new[at:at + 65536]}
assert differs and differs <= dirty, (sorted(differs - dirty)[:5], len(differs))' || fail "the bitmap after backup $n"
	rm vdb.now vdc.now A.then
}
take 0
for n in 1 2 3; do
	if [ $n = 2 ]; then
		expect_code 6 as_user sh -c '"$@" >/dev/full' - "$vmabak" backup -q libvirt:web --track -d A=vdb -d B=vdc \
			--parent 1.vmab -o -
		checkpoints "$(of 1)"
	fi
	take 0 --parent $((n - 1)).vmab
	expect_json $n.json "[bool(x['proof']) for x in d['drives']] == [True, False]" \
		"d['drives'][0]['proof']['listed_clusters'] > 0" "d['drives'][0]['proof']['unchanged_clusters'] > 0"
	[ $n != 2 ] || look
done
# Merged, it shows the instant that the chain shows.
expect_code 0 "$VMABAK" merge -q 3.vmab -o merged.vmab
expect_code 0 "$VMABAK" restore -q 3.vmab -C chain
expect_code 0 "$VMABAK" restore -q merged.vmab -C merged
same_file chain/A.raw merged/A.raw
same_file chain/B.raw merged/B.raw
guest_is_well
