# Bitmaps that tell of another image than the one that is backed up: QEMU exports the bitmap of a base under the overlay that
# takes the writes, and qemu-img leaves an empty one behind when it cannot merge. Both say that nothing has changed.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"
need_images
need qemu-io nbdinfo qemu-storage-daemon

uuid=01234567-89ab-cdef-0123-45678900000
make_random data.raw $((8 << 20)) 1
qemu-img convert -f raw -O qcow2 data.raw base.qcow2
qemu-img bitmap --add base.qcow2 cp

# The bitmap of the base, by an export of the overlay, which is larger.
qemu-img create -q -f qcow2 -F qcow2 -b base.qcow2 over.qcow2 12M
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}0 -o 0.vmab a=over.qcow2
qemu-storage-daemon --daemonize --pidfile "$PWD/pid" --nbd-server addr.type=unix,addr.path="$PWD/nbd" \
	--blockdev driver=file,filename=base.qcow2,node-name=file0 --blockdev driver=qcow2,file=file0,node-name=base \
	--blockdev driver=file,filename=over.qcow2,node-name=file1 --blockdev driver=qcow2,file=file1,node-name=over,backing=base \
	--export '{"type":"nbd","id":"e","node-name":"over","name":"x","writable":true,"bitmaps":[{"node":"base","name":"cp"}]}'
on_exit 'kill -9 "$(cat pid)" 2>/dev/null'
qemu-io -f raw -c 'write -q -P 7 1M 64k' -c 'write -q -P 8 5M 64k' -c flush "nbd+unix:///x?socket=nbd"
nbdinfo --map=qemu:dirty-bitmap:cp --json "nbd+unix:///x?socket=nbd" >list.json
kill "$(cat pid)"
wait_until test ! -e pid
expect_code 0 "$VMABAK" changes list.json
[ "$(grep -c '^[0-9]' "$out")" = 0 ] || fail "QEMU told of the writes: $(cat "$out")"
expect_code 3 "$VMABAK" backup --uuid ${uuid}1 --since-unchecked --parent 0.vmab --changed a=list.json -o 1.vmab a=over.qcow2
expect_found 1.vmab samples audit
same_instant 1.vmab a=over.qcow2

# A merge that fails, as the sizes differ: the new bitmap is there, records, and has nothing.
qemu-img create -q -f qcow2 copy.qcow2 12M
qemu-img convert -n -f qcow2 -O qcow2 over.qcow2 copy.qcow2
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}2 -o c0.vmab a=copy.qcow2
qemu-io -f qcow2 -c 'write -q -P 9 3M 64k' copy.qcow2
expect_code 1 qemu-img bitmap --add --merge cp -b base.qcow2 -F qcow2 copy.qcow2 moved
expect_code 3 "$VMABAK" backup --uuid ${uuid}3 --since-unchecked --parent c0.vmab -o c1.vmab a=copy.qcow2,bitmap=moved
expect_found c1.vmab samples audit
same_instant c1.vmab a=copy.qcow2
