# A domain of libvirt: backed up while it runs, lost with its disk, and put back.
. "$(dirname "$0")/../cli/lib.sh"
. "$CLI/libvirt.sh"
need_images
need_libvirt

# It finds nothing to boot; libvirt and QEMU do not mind.
describe()
{
	cat <<-END
	<domain type='qemu'><name>$1</name><memory unit='MiB'>64</memory>
	<os><type arch='x86_64' machine='pc'>hvm</type></os>
	<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
	<disk type='file' device='disk'><driver name='qemu' type='$2'/><source file='$3'/><target dev='vda' bus='virtio'/></disk>
	<controller type='usb' model='none'/><memballoon model='none'/></devices></domain>
	END
}

make_random web.raw 3000000 1
truncate -s 64M web.raw
qemu-img convert -O qcow2 web.raw web.qcow2
describe web qcow2 "$PWD/web.qcow2" >web.xml
[ "$(id -u)" != 0 ] || chown -R nobody .
as_user virsh -q define "$PWD/web.xml"
as_user virsh -q start web || skip "libvirt starts no domain here: $(tail -n 3 "$lv/libvirtd.log")"
expect_code 0 as_user "$vmabak" backup libvirt:web --scratch "$lv/tmp" -o web.vmab
expect_text "$err" 'web.vmab: ' ' of data from 1 drive, '
expect_code 0 "$VMABAK" list web.vmab
expect_text "$out" vda libvirt.xml

# The disk dies.
as_user virsh -q destroy web
as_user virsh -q undefine web
rm web.qcow2
expect_code 0 "$VMABAK" restore web.vmab -d "vda=$PWD/web.qcow2" --configs -C restored
expect_text "$err" '1 drive (64.0 MiB) and 1 config restored'
[ "$(id -u)" != 0 ] || chown -R nobody .
chmod -R a+rX restored
as_user virsh -q define "$PWD/restored/libvirt.xml"
as_user virsh -q start web || fail "does not start"
as_user virsh -q destroy web
cmp web.raw "$(qemu-img convert -O raw web.qcow2 back.raw && echo back.raw)" || fail "not what was backed up"

# Or all of it by one command, the definition included.
as_user virsh -q undefine web
expect_code 0 as_user "$vmabak" restore web.vmab -C "$PWD/again" --define
as_user virsh -q start web || fail "does not start"
as_user virsh -q destroy web
cmp web.raw again/vda.raw || fail "not what was backed up"

# A dump of Proxmox VE becomes a domain: its drive as qcow2, its settings by hand.
echo 'memory: 64
scsi0: local:100/vm-100-disk-0.raw,size=64M
#qmdump#map:scsi0:drive-scsi0:local:raw:' >qemu-server.conf
expect_code 0 "$VMABAK" backup -q -o vzdump-qemu-100-2026_11_20-01_00_00.vma.zst -c qemu-server.conf drive-scsi0=web.raw
expect_code 0 "$VMABAK" verify vzdump-qemu-100-2026_11_20-01_00_00.vma.zst
expect_code 0 "$VMABAK" config vzdump-qemu-100-2026_11_20-01_00_00.vma.zst
cmp "$out" qemu-server.conf
expect_code 0 "$VMABAK" restore -q vzdump-qemu-100-2026_11_20-01_00_00.vma.zst -d "drive-scsi0=$PWD/mail.qcow2"
describe mail qcow2 "$PWD/mail.qcow2" >mail.xml
[ "$(id -u)" != 0 ] || chown nobody mail.qcow2 mail.xml
as_user virsh -q define "$PWD/mail.xml"
as_user virsh -q start mail || fail "does not start"
as_user virsh -q destroy mail
cmp web.raw "$(qemu-img convert -O raw mail.qcow2 mail.raw && echo mail.raw)" || fail "not what was in the dump"
