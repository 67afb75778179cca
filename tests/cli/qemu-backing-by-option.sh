# An image without a backing file in its header stands on another that QEMU's command line names: the archive holds
# what is read from that one, too.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
qemu-img create -q -f qcow2 base.qcow2 4M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' base.qcow2
qemu-img create -q -f qcow2 top.qcow2 4M
start_daemon two --blockdev driver=qcow2,node-name=base,file.driver=file,file.filename=base.qcow2,read-only=on \
	--blockdev driver=qcow2,node-name=top,file.driver=file,file.filename=top.qcow2,backing=base \
	--export type=nbd,id=t,node-name=top,name=top,writable=on
expect_code 0 "$VMABAK" backup "qemu:$qmp" -o a.vmab
expect_code 0 "$VMABAK" restore -q a.vmab -d top=out.raw
expect_code 0 qemu-img compare -U -f qcow2 -F raw base.qcow2 out.raw
expect_code 0 "$VMABAK" qemu-drives "$qmp" --json
expect_json "$out" "[x['backing'] for x in d['drives']] == [True]"
