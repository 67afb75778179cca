# SIGKILL of backups of a domain whose drive is in an iothread, at VMABAK_KILLS moments (5): QEMU, which before 8.2 does not
# outlive a client that hangs up there, goes on, the guest writes on, and nothing is left; so it is when they end by
# themselves, also with increments, and when libvirtd is killed meanwhile.
# long: backups of a domain are killed
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
need pgrep
. "$CLI/iothread.sh"

make_random a.raw 25165824
"$PYTHON" -S "$CLI/boot_writer.py" a.raw
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
make_random b.raw 1048576
iothreads=1
driver="name='qemu' iothread='1'"
idle_domain web "<disk type='file' device='disk'><driver $driver type='qcow2'/><source file='$PWD/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
	<disk type='file' device='disk'><driver $driver type='raw'/><source file='$PWD/b.raw'/><target dev='vdb' bus='virtio'/></disk>"
machine=$(cat "$lv/r/libvirt/qemu/run/web.pid")
writes_on()
{
	lib_before=$(as_user virsh -q domblkstat web vda | sed -n 's/.*wr_req //p')
	wait_until eval '[ "$(as_user virsh -q domblkstat web vda | sed -n "s/.*wr_req //p")" -gt "$lib_before" ]'
}
is_well()
{
	kill -0 "$machine" 2>/dev/null || fail "QEMU ended: $(tail -n 3 "$lv/k/libvirt/qemu/log/web.log")"
	domain_is_well
}
# The job may begin after the kill.
nothing_left()
{
	wait_until no_files_left
	wait_until eval '! backup_runs'
}

backup="as_user $vmabak backup -q libvirt:web --track"
expect_code 0 $backup -o 0.vmab
expect_code 0 $backup --parent 0.vmab -o 1.vmab
is_well
killed_at_moments is_well nothing_left $backup --rate 20M --no-sync -o killed.vmab
writes_on
# The guard goes on when libvirtd is there again, or for as long as it takes.
in_background $backup --rate 1M --compress none -o killed.vmab
wait_until backup_runs
guard=$(pgrep -P $pid -f 'vmabak guard')
wait_until has_part . 65536
kill_libvirtd
kill -9 $pid
start_libvirt
wait_until eval '! readlink /proc/$guard/exe >/dev/null'
rm -f .*.part
is_well
writes_on
nothing_left
as_user virsh -q suspend web
expect_code 0 $backup -o last.vmab
expect_code 0 "$VMABAK" restore -q last.vmab -C restored
qemu-img convert -U -f qcow2 -O raw a.qcow2 now.raw
same_file now.raw restored/vda.raw
same_file b.raw restored/vdb.raw
