# An image is made with the options that are given, and keeps those of the one that it replaces.
. "$(dirname "$0")/lib.sh"

need_images
make_random drive.raw 3000000 1
truncate -s 20M drive.raw
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw
# made OPTIONS FILE TEXT...: restored with these, and qemu-img says so.
made()
{
	lib_target=$2$1
	lib_image=$2
	shift 2
	expect_code 0 "$VMABAK" restore --force a.vmab -d "d=$lib_target"
	expect_code 0 qemu-img compare drive.raw "$lib_image"
	qemu-img info "$lib_image" >"$out"
	expect_text "$out" "$@"
}
made ,cluster_size=4k a.qcow2 'cluster_size: 4096' 'compat: 1.1'
made ,compat=0.10,cluster_size=2M b.qcow2 'cluster_size: 2097152' 'compat: 0.10'
made ,extended_l2=on,lazy_refcounts=on,refcount_bits=32,cluster_size=128k,format=qcow2 c.img \
	'cluster_size: 131072' 'refcount bits: 32' 'lazy refcounts: true' 'extended l2: true'
made ,preallocation=falloc d.qcow2 'compat: 1.1'
[ "$(allocated d.qcow2)" -gt 20000 ] || fail "not preallocated"
made ,subformat=dynamic,force_size=on e.vpc 'file format: vpc'
made ,block_size=2M f.vhdx 'cluster_size: 2097152'
made ,adapter_type=lsilogic g.vmdk 'file format: vmdk'
# Kept where none is given, changed where one is.
made '' a.qcow2 'cluster_size: 4096'
made '' b.qcow2 'cluster_size: 2097152' 'compat: 0.10'
made ,format=qcow2 c.img 'cluster_size: 131072' 'refcount bits: 32' 'lazy refcounts: true' 'extended l2: true'
made ,cluster_size=64k,format=qcow2 c.img 'cluster_size: 65536' 'refcount bits: 32' 'extended l2: true'
# A header that is not to be believed, or another format: as new.
printf '\377\377\377\377' | dd of=a.qcow2 bs=1 seek=20 conv=notrunc status=none
made '' a.qcow2 'cluster_size: 65536'
made ,format=qcow2 g.vmdk 'file format: qcow2' 'cluster_size: 65536'

# Salvage makes images too.
expect_code 0 "$VMABAK" salvage a.vmab -d d=s.qcow2,cluster_size=8k
qemu-img info s.qcow2 >"$out"
expect_text "$out" 'cluster_size: 8192'

# What would name another file, fits another format, is no value or misspelt makes nothing.
ls -A >"$TMPDIR/files"
while IFS='|' read -r words target; do
	expect_error 2 "$words" "$VMABAK" restore a.vmab -d "d=$target"
	ls -A | diff "$TMPDIR/files" - || fail "something was left"
done <<'END'
no option of a target, or one given twice: ,backing_file=base|new.qcow2,backing_file=base
no option of a target, or one given twice: ,data_file=drive|new.qcow2,data_file=drive
no option of a target, or one given twice: ,preallocaton=full|new.qcow2,preallocaton=full
no option of a target, or one given twice: ,cluster_size=4k|new.qcow2,cluster_size=4k,cluster_size=8k
cluster_size=4k is not for a vdi image|new.vdi,cluster_size=4k
,subformat=fixed is not for a qcow2 image|new.qcow2,subformat=fixed
,cluster_size=64k is for an image, and this is raw|new.raw,cluster_size=64k
,cluster_size=: not a value|new.qcow2,cluster_size=
,cluster_size=a b: not a value|new.qcow2,cluster_size=a b
,size= is for a drive that is read|new.qcow2,size=5M
END
expect_error 1 'qemu-img: ' "$VMABAK" restore a.vmab -d d=new.qcow2,cluster_size=63k
ls -A | diff "$TMPDIR/files" - || fail "something was left"
expect_error 2 'is for an image that a restore makes' "$VMABAK" backup -o b.vmab d=c.img,cluster_size=64k
