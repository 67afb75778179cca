# A virtual machine under qemu-system: its drives by name, without CD-ROMs and read-only ones, with
# an iothread; the backup, also when QEMU ends.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
make_random root.raw 40000000 1
truncate -s 50M root.raw
truncate -s 1M cd.iso empty.raw
qemu-img create -q -f qcow2 base.qcow2 16M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 data.qcow2
qemu-io -f qcow2 -c 'write -q -P 6 1M 2M' data.qcow2
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
# Stopped: nothing in it runs, but its block devices are there.
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -name web -pidfile "$TMPDIR/pid" \
	-daemonize -qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
	-object iothread,id=io0 -device virtio-scsi-pci,id=scsi0 \
	-drive if=none,id=root,file=root.raw,format=raw -device scsi-hd,drive=root \
	-blockdev driver=qcow2,node-name=node-data,file.driver=file,file.filename=data.qcow2 \
	-device virtio-blk-pci,drive=node-data,id=data,iothread=io0 \
	-drive if=none,id=cd,media=cdrom,readonly=on,file=cd.iso,format=raw -device scsi-cd,drive=cd \
	-device scsi-cd,id=nothing-in-it 2>"$TMPDIR/qemu.err" || skip "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"

expect_code 0 "$VMABAK" qemu-drives "$qmp" --json
expect_json "$out" "[x['name'] for x in d['drives']] == ['root', 'cd', 'data']" \
	"[x['by_default'] for x in d['drives']] == [True, False, True]" \
	"[x['backing'] for x in d['drives']] == [False, False, True]" \
	"[x['iothread'] for x in d['drives']] == [None, None, 'io0']" \
	"[x['format'] for x in d['drives']] == ['raw', 'raw', 'qcow2']" \
	"d['drives'][2]['size_bytes'] == 16 << 20" "d['drives'][2]['node'] == 'node-data'" \
	"d['drives'][1]['removable'] and d['drives'][1]['read_only']"
expect_code 0 "$VMABAK" qemu-drives "$qmp"
expect_text "$out" 'iothread io0, backing file' 'removable: only with -d'

expect_code 0 "$VMABAK" backup "qemu:$qmp" -o a.vmab
expect_code 0 "$VMABAK" restore a.vmab -C out
cmp root.raw out/root.raw
expect_code 0 qemu-img compare -U -f qcow2 -F raw data.qcow2 out/data.raw
expect_json out/qemu.json "d['name']['name'] == 'web'" "d['machine'].startswith('pc')" \
	"d['memory']['base-memory'] == 64 << 20" "len(d['block']) == 4"
[ "$(ls out)" = 'data.raw
qemu.json
root.raw' ] || fail "restored: $(ls out)"
expect_code 0 "$VMABAK" backup "qemu:$qmp" -d cd -d node-data -o cd.vmab
expect_code 0 "$VMABAK" list --json cd.vmab
expect_json "$out" "[x['name'] for x in d['drives']] == ['cd', 'data']"
nothing_in_qemu

# QEMU ends in the middle.
in_background "$VMABAK" backup "qemu:$qmp" --rate 1M --buffer 16M -o no.vmab
wait_until jobs_run
kill "$machine"
ended_with 1 $pid
expect_text "$err" 'QEMU has ended'
wait_until no_guard
[ ! -e no.vmab ] || fail "an archive of a machine that ended"
[ -z "$(ls -d "$TMPDIR"/vmabak-* 2>/dev/null)" ] || fail "a socket was left"
