# Under qemu-system a pull has an NBD server of its own, which goes with it, also after a kill; a
# backup with an overlay and an iothread; QEMU ends in the middle.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
make_random root.raw 40000000 1
truncate -s 50M root.raw
qemu-img create -q -f qcow2 base.qcow2 16M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 data.qcow2
qemu-io -f qcow2 -c 'write -q -P 6 1M 2M' data.qcow2
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
# Stopped: nothing in it runs, but its block devices are there.
start_machine()
{
	qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" \
		-daemonize -qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
		-object iothread,id=io0 -drive if=none,id=root,file=root.raw,format=raw \
		-device virtio-blk-pci,drive=root \
		-blockdev driver=qcow2,node-name=node-data,file.driver=file,file.filename=data.qcow2 \
		-device "virtio-blk-pci,drive=node-data,id=data,iothread=io0" \
		2>"$TMPDIR/qemu.err" || skip "QEMU: $(cat "$TMPDIR/qemu.err")"
	machine=$(cat "$TMPDIR/pid")
	on_exit "kill -9 $machine 2>/dev/null"
}
start_machine

# Twice: the server is started anew.
for archive in a.vmab b.vma; do
	expect_code 0 "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" -o $archive
	expect_code 0 "$VMABAK" restore --force $archive -C out
	cmp root.raw out/root.raw
	expect_code 0 qemu-img compare -U -f qcow2 -F raw data.qcow2 out/data.raw
	nothing_in_qemu
done
in_background "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" --rate 1M --compress none -o no.vmab
wait_until exports_there
kill -9 $pid
nothing_in_qemu
rm -f .*.part
expect_code 0 "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" -o c.vmab
expect_no_text "$err" 'cleaned up'

# Nobody cleans up, and the run directory was removed: the devices get their drives back all the same.
in_background "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" --rate 1M --compress none -o no.vmab
wait_until exports_there
kill_with_guard
rm -r "$TMPDIR"/vmabak-* .*.part
expect_code 0 "$VMABAK" backup "qemu:$qmp" -o d.vmab
expect_text "$err" 'cleaned up in QEMU after 1 killed run'
nothing_in_qemu
ask_qmp query-block >"$TMPDIR/answer"
expect_no_text "$TMPDIR/answer" vmabak-
ask_qmp nbd-server-stop >/dev/null # whose it was is not known any more

in_background "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" --rate 1M --compress none -o no.vmab
wait_until exports_there
[ "$(stat -c %a "$TMPDIR"/vmabak-*)" = 700 ] || fail "others get at the server"
kill "$machine"
ended_with 1 $pid
wait_until no_guard
[ ! -e no.vmab ] || fail "an archive of a machine that ended"
[ -z "$(ls -d "$TMPDIR"/vmabak-* 2>/dev/null)" ] || fail "left: $(ls -d "$TMPDIR"/vmabak-*)"
