# A domain with more drives than QEMU's server has connections for.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random all $((28 * 70144)) 1
split -b 70144 -a 2 --additional-suffix=.raw all sd
disks=
for file in sd*.raw; do
	disks="$disks <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$PWD/$file'/><target dev='${file%.raw}' bus='scsi'/></disk>"
done
cat >"$lv/many.xml" <<END2
<domain type='qemu'><name>many</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
<controller type='scsi' model='virtio-scsi'/><controller type='usb' model='none'/><memballoon model='none'/>
$disks</devices></domain>
END2
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
as_user virsh -q define "$lv/many.xml" || fail "define: $(tail -n 3 "$lv/libvirtd.log")"
as_user virsh -q start --paused many || fail "start: $(tail -n 3 "$lv/libvirtd.log")"
domain=many
# Sizes are asked for once, not once for each drive, as QEMU tells about all of them each time.
expect_code 0 as_user env LIBVIRT_LOG_FILTERS=1:libvirt LIBVIRT_LOG_OUTPUTS="1:file:$PWD/calls" \
	"$vmabak" backup -q libvirt:many -o a.vmab
[ "$(grep -c 'virDomainListGetStats:' calls)" = 1 ] || fail "sizes were not asked for once"
! grep -q 'virDomainGetBlockInfo:' calls || fail "sizes were asked for one by one"
nothing_in_libvirt
expect_code 0 "$VMABAK" restore -q a.vmab -C out
cat out/sd*.raw | cmp - all || fail "a drive differs"
