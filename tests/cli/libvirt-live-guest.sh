# A Linux machine of libvirt boots from the archive that it is restored from, by a definition of its user's, and writes all the while. The process
# of the restore is killed, and goes on; then libvirt moves the disks. They are the machine as if its plug had been pulled.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_guest_in_libvirt

make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
"$VMABAK" backup -q -o a.vmab fs=fs.raw A=A.raw B=B.raw
rm fs.raw A.raw B.raw

# at_export NAME TARGET
at_export()
{
	echo "<disk type='network' device='disk'><driver name='qemu' type='raw' error_policy='stop' rerror_policy='stop'/>
		<source protocol='nbd' name='$1'><host transport='unix' socket='$lv/work/new/web.nbd'/></source><target dev='$2' bus='virtio'/></disk>"
}
begin()
{
	as_user "$vmabak" restore a.vmab -C new --live libvirt:web "$@" 2>>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
}
# state STATE: of the domain.
state()
{
	[ "$(as_user virsh -q domstate web 2>/dev/null)" = "$1" ] && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}

stands_still() { [ "$(as_user virsh -q domstate web)" = paused ]; }

domain=web
make_initrd "$lv/initrd.gz"
cp "$lib_kernel" "$lv/vmlinuz"
domain_xml web "$(at_export fs vda) $(at_export A vdb) $(at_export B vdc)" >"$lv/web.xml"
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work" "$lv/initrd.gz" "$lv/vmlinuz"
as_user virsh -q define "$lv/web.xml"
ln -sf "$lv/console" console
ln -sf "$lv/k/libvirt/qemu/log/web.log" qemu.out
begin --rate 1
wait_until state running
guest=$(cat "$lv/r/libvirt/qemu/run/web.pid")
guest_boots
# QEMU copies faster than it is allowed to when the guest resets its disks, and may have ended.
if kill -9 $live 2>/dev/null; then
	wait $live 2>/dev/null || :
	# It stands still at its next request, and is led on.
	wait_until stands_still
	begin
fi
ended_with 0 $live
expect_text live.err "drive A: the machine runs from $PWD/new/A.raw" 'and the machine moved, in'
[ "$(ls new | tr '\n' ' ')" = 'A.raw B.raw fs.raw ' ] || fail "restored: $(ls new)"
as_user virsh -q domblklist web >blocks
expect_no_text blocks nbd
as_user virsh -q dumpxml --inactive web >definition
expect_text definition "file='$PWD/new/A.raw'" "file='$PWD/new/B.raw'" "file='$PWD/new/fs.raw'"
safe=$(guest_files)
wait_until eval '[ "$(guest_files)" -gt "$safe" ]'
safe=$(guest_files)
stop_guest
check_file_system new/fs.raw "$safe"
judge new/A.raw new/B.raw || fail "$(cat judgement)"
