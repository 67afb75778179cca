# An image of QEMU's formats goes onto a block device too, and shows nothing of what was there.
. "$(dirname "$0")/lib.sh"

need_root
need_images
make_random drive.raw 6000000 1
truncate -s 20M drive.raw
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw
make_full device.raw 25165824
loop_device device.raw
expect_error 2 'is a block device; --force' "$VMABAK" restore a.vmab -d "d=$loop,format=qcow2"
expect_code 0 "$VMABAK" restore --force a.vmab -d "d=$loop,format=qcow2,cluster_size=16k"
expect_code 0 qemu-img compare -f raw -F qcow2 drive.raw "$loop"
expect_code 0 qemu-img check -f qcow2 "$loop"
qemu-img info -f qcow2 "$loop" | grep -q 'cluster_size: 16384' || fail "not with its option"
expect_code 0 "$VMABAK" restore --force a.vmab -d "d=$loop,format=qcow2"
qemu-img info -f qcow2 "$loop" | grep -q 'cluster_size: 16384' || fail "its option was not kept"
expect_code 0 "$VMABAK" backup -o b.vmab "d=$loop,format=qcow2"
expect_code 0 "$VMABAK" restore b.vmab -d d=back.raw
same_file drive.raw back.raw

# A preallocated cluster would show the old bytes of the device.
cp device.raw before.raw
expect_error 2 'preallocation=metadata is not for a block device' \
	"$VMABAK" restore --force a.vmab -d "d=$loop,format=qcow2,preallocation=metadata"
expect_error 2 'a vpc image goes to a file only' \
	"$VMABAK" restore --force a.vmab -d "d=$loop,format=vpc,subformat=fixed"
# In use by a QEMU, mounted, read-only, too small.
qemu-nbd --fork --pid-file="$TMPDIR/pid" -k "$TMPDIR/socket" -t -f qcow2 "$loop"
expect_error 7 'in use by a running QEMU' "$VMABAK" restore --force a.vmab -d "d=$loop,format=qcow2"
kill "$(cat "$TMPDIR/pid")"
same_file before.raw device.raw
truncate -s 4M small.raw
loop_device small.raw
expect_code 6 "$VMABAK" restore --force a.vmab -d "d=$loop,format=qcow2"
expect_text "$err" "$loop" 'No space left on device'
