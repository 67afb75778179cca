# QEMU reads what is missing of the last sector of an image as zeros. Where that sector has data such an image is cut, too:
# a vhdx, which always has whole sectors, and a compressed cluster of a qcow2, which ends anywhere.
. "$(dirname "$0")/lib.sh"

need_images
need qemu-io
make_random drive.raw 12582912 1
for subformat in dynamic fixed; do
	for bytes in 1 100 511; do
		qemu-img convert -O vhdx -o subformat=$subformat drive.raw image.vhdx
		truncate -s -$bytes image.vhdx
		expect_error 1 'image.vhdx: its end is missing' "$VMABAK" backup -o a.vmab d=image.vhdx
		qemu-img create -q -f qcow2 -b image.vhdx -F vhdx overlay.qcow2
		expect_error 1 'image.vhdx: its end is missing' "$VMABAK" backup -o a.vmab d=overlay.qcow2
		rm image.vhdx overlay.qcow2
	done
done

"$PYTHON" -c 'import base64, random
open("pattern", "wb").write(base64.b64encode(random.Random(1).randbytes(49152)))'
for type in zlib zstd; do
	for size in 65536 2097152; do
		qemu-img create -q -f qcow2 -o compression_type=$type,cluster_size=$size whole.qcow2 4M
		# Written last, its data is the end of the file.
		qemu-io -f qcow2 -c "write -c -s pattern 0 $size" whole.qcow2 >/dev/null
		expect_code 0 "$VMABAK" backup -q --force -o whole.vmab d=whole.qcow2
		for bytes in 1 5 10 50; do
			cp whole.qcow2 cut.qcow2
			truncate -s -$bytes cut.qcow2
			expect_error 1 'cut.qcow2: its end is missing' "$VMABAK" backup -o a.vmab d=cut.qcow2
		done
		rm whole.qcow2 whole.vmab cut.qcow2
	done
done
