# The content of a drive, which a guest controls, never tells how it is read.
. "$(dirname "$0")/lib.sh"

need_images
echo secret >secret
# A raw drive on which a guest has put the head of a qcow2 that names another file.
qemu-img create -q -f qcow2 -b "$PWD/secret" -F raw disk.img 1M
cp disk.img drive.raw
for drive in disk.img drive.raw; do
	expect_error 2 ',format=raw' "$VMABAK" backup --force -o a.vmab $drive
	expect_code 0 "$VMABAK" backup -o a.vmab --force $drive,format=raw
	expect_code 0 "$VMABAK" restore a.vmab -C back
	same_file $drive back/disk0.raw
	rm -r back
done
# Names that mean something to QEMU are files here.
for name in 'nbd:localhost:10809' 'json:{}' 'a,b.qcow2' 'file:x.qcow2' 'a b=c.qcow2'; do
	qemu-img create -q -f qcow2 new.qcow2 1M
	mv new.qcow2 "./$name"
	expect_code 0 "$VMABAK" backup -o a.vmab --force "./$name,format=qcow2"
	expect_code 0 "$VMABAK" list --json a.vmab
	expect_json "$out" "d['drives'][0]['size_bytes'] == 1048576"
done
