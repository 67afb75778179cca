# Increments of a machine of libvirt that writes all the while, by its checkpoints: full, increment, failed increment,
# increment again, of qcow2 and beside a raw disk. Every instant is what the guest had written at one moment.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_guest_in_libvirt
. "$CLI/tracked.sh"

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
done
guest_is_well
