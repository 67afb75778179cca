# When there is little room for what the guest overwrites during a backup by libvirt, the backup is refused
# or given up before a write of the guest fails.
# long: waits for a guest that writes
. "$(dirname "$0")/lib.sh"
if [ "${1:-}" != inside ]; then
	mkdir "$base/inside"
	CLI_TEST_FOLDER=$base/inside
	export CLI_TEST_FOLDER
	in_private_mounts sh "$0" inside
	exit
fi
. "$CLI/libvirt.sh"
need_root
need_guest_in_libvirt

mkdir room
mount -t tmpfs -o size=400M tmpfs room || skip "no tmpfs here"
on_exit "umount '$PWD/room'"
make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
start_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"
backup="as_user $vmabak backup libvirt:web --scratch $PWD/room"
expect_error 1 'less than 512 MiB' $backup -o a.vmab
mount -o remount,size=700M room
in_background $backup -q --rate 500K --compress none -o a.vmab
wait_until backup_runs
mount -o remount,size=200M room
ended_with 1 $pid
expect_text "$err" 'less than 256 MiB'
[ ! -e a.vmab ] || fail "an archive"
nothing_in_libvirt
guest_is_well
mount -o remount,size=700M room
expect_code 0 $backup -o a.vmab
nothing_in_libvirt
