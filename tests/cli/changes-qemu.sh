# Increments by what QEMU's own tools tell: a persistent bitmap by nbdinfo, and an overlay by qemu-img map; with writes,
# zeroes and discards. What is restored is what QEMU reads.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io nbdinfo

# change IMAGE: data, zeros over data, a discard.
change()
{
	qemu-io -f qcow2 -c 'write -P 7 1M 70k' -c 'write -z 2M 1M' -c 'discard 4M 1M' -c 'write -P 9 8100k 92k' "$1" >/dev/null
}

# check ARCHIVE IMAGE
check()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	qemu-img convert -f qcow2 -O raw "$2" now.raw
	same_file now.raw back/root.raw
}

make_random base.raw $((8 << 20)) 3
qemu-img convert -f raw -O qcow2 base.raw disk.qcow2
qemu-img bitmap --add disk.qcow2 since
expect_code 0 "$VMABAK" backup -q -o full.vmab root=disk.qcow2
cp disk.qcow2 old.qcow2
change disk.qcow2

qemu-nbd -r -t -k "$PWD/nbd" -f qcow2 -B since disk.qcow2 &
on_exit "kill $! 2>/dev/null"
server=$!
wait_until [ -S nbd ]
nbdinfo --map=qemu:dirty-bitmap:since --json "nbd+unix:///?socket=nbd" >bitmap.json
nbdinfo --map=qemu:dirty-bitmap:since "nbd+unix:///?socket=nbd" >bitmap.txt
nbdinfo --map --json "nbd+unix:///?socket=nbd" >allocation.json
kill $server
wait $server || true
for list in bitmap.json bitmap.txt; do
	expect_code 0 "$VMABAK" backup --json --parent full.vmab --changed root=$list --since-unchecked --force -o by.vmab root=disk.qcow2
	expect_json "$out" 'd["data_clusters"] + d["zero_clusters"] < 40' 'd["data_clusters"] >= 3' 'd["zero_clusters"] >= 30'
	check by.vmab disk.qcow2
done
expect_error 4 'base:allocation' "$VMABAK" backup --parent full.vmab --changed root=allocation.json --since-unchecked -o no.vmab root=disk.qcow2

qemu-img create -q -f qcow2 -b old.qcow2 -F qcow2 over.qcow2
change over.qcow2
qemu-img map --output=json over.qcow2 >map.json
expect_error 4 'say ,format=overlay' "$VMABAK" backup --parent full.vmab --changed root=map.json --since-unchecked -o no.vmab root=over.qcow2
expect_code 0 "$VMABAK" backup --json --parent full.vmab --changed root=map.json,format=overlay --since-unchecked -o over.vmab root=over.qcow2
expect_json "$out" 'd["data_clusters"] + d["zero_clusters"] < 40'
check over.vmab over.qcow2
