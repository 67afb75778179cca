# An image whose end is missing, as an interrupted copy leaves it, is no drive: QEMU would read zeros
# there. So is one that stands on such an image, or has its data in a file that is cut.
# long: many images
. "$(dirname "$0")/lib.sh"

need_images
need qemu-io
"$PYTHON" - <<'END_OF_PYTHON'
import random
source = random.Random(1)
with open("drive.raw", "wb") as file:
    file.truncate(12 << 20)
    for mib in 1, 2, 7, 10:
        file.seek(mib << 20)
        file.write(source.randbytes(300000))
        file.write(b"text that can be compressed, and more of it\n" * 9000)
END_OF_PYTHON

cut()
{
	truncate -s -"$2" "$1"
}

# refused FILE [OPTION]...: nothing is left of an archive, and the file that was cut is named.
refused()
{
	lib_cut=$1
	shift
	expect_error 1 "$lib_cut" "$VMABAK" backup -o a.vmab "$@"
	[ ! -e a.vmab ] || fail "an archive"
}

# Where a file ends in padding nothing is lost with the last few bytes.
whole_or_refused()
{
	[ "$1" -ge 600000 ] || ! "$VMABAK" backup -q -o a.vmab "$2" 2>/dev/null || {
		expect_code 0 "$VMABAK" restore a.vmab -d d=back
		cmp -n 12582912 drive.raw back || fail "cut by $1 bytes, and not told: $2"
		rm a.vmab back
		return 0
	}
	refused '' "$2"
}

# FORMAT OPTIONS FILE: the file that data is in.
while read -r format options file; do
	case $options in
	-) qemu-img convert -O "$format" drive.raw "image.$format" ;;
	-c) qemu-img convert -c -O "$format" drive.raw "image.$format" ;;
	*) qemu-img convert -O "$format" -o "$options" drive.raw "image.$format" ;;
	esac || continue # what this QEMU cannot make
	expect_code 0 "$VMABAK" backup --force -o a.vmab "d=image.$format,format=$format"
	rm a.vmab
	for bytes in 3 60 3000 70000 600000; do
		cp "$file" whole
		cut "$file" $bytes
		whole_or_refused $bytes "d=image.$format,format=$format"
		mv whole "$file"
	done
	rm image*
done <<'END_OF_CASES'
qcow2 - image.qcow2
qcow2 -c image.qcow2
qcow2 compression_type=zstd image.qcow2
qcow2 extended_l2=on image.qcow2
qcow2 cluster_size=512 image.qcow2
qcow - image.qcow
vmdk - image.vmdk
vmdk subformat=twoGbMaxExtentSparse image-s001.vmdk
vmdk subformat=monolithicFlat image-flat.vmdk
vdi - image.vdi
parallels - image.parallels
qed - image.qed
END_OF_CASES

# What is said, and of which file.
qemu-img convert -O vmdk -o subformat=monolithicFlat drive.raw flat.vmdk
cut flat-flat.vmdk 1000000
refused 'flat.vmdk: flat-flat.vmdk: its end is missing' d=flat.vmdk
qemu-img convert -O qcow2 drive.raw base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 overlay.qcow2
qemu-img create -q -f qcow2 -b overlay.qcow2 -F qcow2 top.qcow2
expect_code 0 "$VMABAK" backup -o a.vmab d=top.qcow2
cut base.qcow2 100000
rm a.vmab
refused 'top.qcow2: ' d=top.qcow2
expect_text "$err" 'base.qcow2: its end is missing'
qemu-img create -q -f qcow2 -o data_file="$PWD/data" external.qcow2 12M
qemu-io -f qcow2 -c 'write -P 7 0 12M' external.qcow2 >/dev/null
expect_code 0 "$VMABAK" backup -o a.vmab d=external.qcow2
rm a.vmab
cut data 10000
refused 'data: its end is missing' d=external.qcow2

# Whole ones whose last cluster or sector is not there in full.
if qemu-img create -q -f qcow2 -o extended_l2=on sub.qcow2 12M; then
	qemu-io -f qcow2 -c 'write -P 7 1M 512' sub.qcow2 >/dev/null
	expect_code 0 "$VMABAK" backup --force -o a.vmab d=sub.qcow2
fi
qemu-img create -q -f qcow2 sectors.qcow2 12M
qemu-io -f qcow2 -c 'write -c -P 7 1M 64k' sectors.qcow2 >/dev/null
expect_code 0 "$VMABAK" backup --force -o a.vmab d=sectors.qcow2

# As a donor it gives what it has.
rm a.vmab
qemu-img convert -O qcow2 drive.raw donor.qcow2
expect_code 0 "$VMABAK" backup -o a.vmab --compress none d=drive.raw
flip a.vmab 400000
cut donor.qcow2 100000
expect_code 3 "$VMABAK" salvage a.vmab -d d=salvaged.raw --donor d=donor.qcow2
expect_text "$err" 'donor.qcow2 is cut short'
same_file drive.raw salvaged.raw
