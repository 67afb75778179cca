# A block device that is larger than the drive as the target of a mirror of a QEMU, and pivoted to; and a file system that gets
# full: the guest does not notice, and the mirror of that drive has failed.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
need_root
need_images
begin_in_private_mounts
mkdir small
mount -t tmpfs -o size=2M tmpfs small || skip "no tmpfs here"
make_random a.raw 6000000 1
truncate -s 16M a.raw
qemu-img create -q -f qcow2 b.qcow2 32M
start_drives_at "$PWD"
truncate -s 20M device.raw
loop_device device.raw

expect_error 2 'is a block device; --force' mirror_start -d A="$loop"
expect_code 0 mirror_start -d A="$loop" -d B=small/b.raw --state s.json --force
wait_until nothing_left
write_A 5 1M 4K
write_B 5 1M 4M
wait_until state_is '"state": "failed"'
expect_error 1 'drive B: ' mirror wait
write_B 6 6M 4M
expect_error 1 'drive B: ' mirror pivot
expect_code 0 mirror abort
nothing_of_mirrors
rm small/b.raw
rm s.json

expect_code 0 mirror_start -d A="$loop" --state s.json --force
in_sync
expect_code 0 mirror pivot -q
write_A 7 2M 4K
qemu-img convert -f raw -O raw "$uri_A" now.A
cmp -n 16777216 now.A "$loop" || fail "the guest is not at the device"
[ "$(stat -c %s now.A)" = 16777216 ] || fail "the drive has another size"
