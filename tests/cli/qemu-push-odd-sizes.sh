# Drives that end within a cluster, are smaller than one, or are large and empty.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
make_random odd.raw 1000448 1
make_random tiny.raw 512 2
qemu-img create -q -f qcow2 huge.qcow2 8T
qemu-io -f qcow2 -c 'write -q -P 9 4T 64k' huge.qcow2
start_daemon odd --blockdev driver=file,filename=odd.raw,node-name=odd \
	--blockdev driver=file,filename=tiny.raw,node-name=tiny \
	--blockdev driver=qcow2,file.driver=file,file.filename=huge.qcow2,node-name=huge
expect_error 2 'no drive that can be written to' "$VMABAK" backup "qemu:$qmp" -o no.vmab
expect_code 0 timeout 200 "$VMABAK" backup "qemu:$qmp" -d odd -d tiny -d huge --json -o a.vmab
expect_json "$out" "d['data_clusters'] == 16 + 1 + 1"
for drive in odd tiny; do
	expect_code 0 "$VMABAK" restore a.vmab -d $drive=again
	same_file $drive.raw again
	rm again
done
expect_code 0 "$VMABAK" restore a.vmab -d huge=huge.out
"$PYTHON" -c 'import sys
with open("huge.out", "rb") as file:
    file.seek(4 << 40)
    sys.exit(file.read(65537) != b"\x09" * 65536 + b"\0")' || fail "the cluster in the middle differs"
