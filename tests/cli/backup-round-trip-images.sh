# The images of QEMU hold the same as the raw one, and nothing is left of the helper.
. "$(dirname "$0")/lib.sh"

need_images
make_image drive.raw 32
for format in qcow2 vmdk vdi vhdx; do
	qemu-img convert -O $format drive.raw disk.$format
	case $format in
	qcow2) archive=a.vmab ;;
	vmdk) archive=a.vma ;;
	vdi) archive=a.vma.zst ;;
	vhdx) archive=a.vma.gz ;;
	esac
	expect_code 0 "$VMABAK" backup -q -o $archive root=disk.$format
	[ ! -s "$err" ] || fail "said: $(cat "$err")"
	expect_code 0 "$VMABAK" restore --no-sync $archive
	# Some formats round up.
	[ $(($(size_of root.raw) - $(size_of drive.raw))) -lt 1048576 ] || fail "too large"
	cmp -n "$(size_of drive.raw)" drive.raw root.raw || fail "$format differs"
	e2fsck -fn root.raw >"$out" 2>&1 || fail "e2fsck: $(cat "$out")"
	rm root.raw $archive
done

# The format comes from the name or is said.
mv disk.qcow2 disk.img
expect_code 0 "$VMABAK" backup -o said.vmab disk.img,format=qcow2
expect_code 0 "$VMABAK" restore --no-sync said.vmab
same_file drive.raw disk0.raw
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
! grep -lsaF "$PWD/disk" /proc/[0-9]*/cmdline || fail "a helper still runs"
