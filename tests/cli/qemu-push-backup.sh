# A running QEMU pushes its drives into an archive: content, sizes, zeros, formats, a pipe, configs.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
echo text >vm.conf
same_drives()
{
	expect_code 0 "$VMABAK" verify "$1"
	expect_code 0 "$VMABAK" restore --force "$1" -C out
	expect_code 0 qemu-img compare -U -f raw a.raw out/A.raw
	expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 out/B.raw
}
for archive in a.vmab a.vma a.vma.zst; do
	expect_code 0 "$VMABAK" backup "qemu:$qmp" -c vm.conf -o $archive
	same_drives $archive
	same_file vm.conf out/vm.conf
	expect_json out/qemu.json "d['qemu']['version']['qemu']['major'] >= 5" \
		"[n for n in d['nodes'] if n['node-name'] == 'B'][0]['drv'] == 'qcow2'"
	nothing_in_qemu
done
"$VMABAK" backup "qemu:$qmp" -q -o - | cat >pipe.vmab
same_drives pipe.vmab
expect_code 0 "$VMABAK" backup "qemu:$qmp" --sync full --json -o full.vmab --compress none
expect_json "$out" "d['n_drives'] == 2" "d['drives_bytes'] == 96 << 20" \
	"d['data_bytes'] < 54 << 20" "d['capture']['repeated_clusters'] == 0"
same_drives full.vmab

# One drive, by its node, under another name; a node that no guest has.
expect_code 0 "$VMABAK" backup "qemu:$qmp" -d other=B -d file -o one.vmab
expect_code 0 "$VMABAK" restore one.vmab -C one
expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 one/other.raw
same_file a.raw one/file.raw

# Refused, with nothing begun.
expect_error 2 "no such drive or block node; the drives are: A, B" \
	"$VMABAK" backup "qemu:$qmp" -d C -o no.vmab
expect_error 2 'named twice' "$VMABAK" backup "qemu:$qmp" -d A -d A -o no.vmab
expect_error 2 'named twice' "$VMABAK" backup "qemu:$qmp" -d x=A -d x=B -o no.vmab
expect_error 2 'is the output itself' "$VMABAK" backup "qemu:$qmp" -o "$PWD/a.raw" \
	--format vmab --force
expect_error 2 'chosen by --drive' "$VMABAK" backup "qemu:$qmp" -o no.vmab a.raw
expect_error 2 '--sync is for qemu:SOCKET without --pull' "$VMABAK" backup --sync full -o no.vmab b.qcow2
expect_error 1 "QMP $PWD/none" "$VMABAK" backup "qemu:$PWD/none" -o no.vmab
[ ! -e no.vmab ] || fail "an archive was begun"
nothing_in_qemu
