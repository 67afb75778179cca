# One node that two devices use is one drive; filters are not backing files; sizes that QEMU rounds up are told; a QEMU
# that refuses what is not stable is asked for less.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
make_random shared.raw 1048576 1
make_random plain.raw 1048576 2
make_random odd.raw 1000001 3
qemu-img create -q -f qcow2 base.qcow2 4M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' base.qcow2
qemu-img create -q -f qcow2 top.qcow2 4M
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize \
	-compat unstable-input=reject \
	-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
	-object throttle-group,id=limits -device virtio-scsi-pci \
	-blockdev driver=file,filename=shared.raw,node-name=shared \
	-device scsi-hd,drive=shared,id=one,share-rw=on -device scsi-hd,drive=shared,id=two,share-rw=on \
	-blockdev driver=throttle,node-name=slow,throttle-group=limits,file.driver=raw,file.file.driver=file,file.file.filename=plain.raw \
	-device scsi-hd,drive=slow,id=slow \
	-blockdev driver=qcow2,node-name=base,file.driver=file,file.filename=base.qcow2,read-only=on \
	-blockdev driver=qcow2,node-name=top,file.driver=file,file.filename=top.qcow2,backing=base \
	-blockdev driver=throttle,node-name=over,throttle-group=limits,file=top \
	-device scsi-hd,drive=over,id=over \
	-blockdev driver=raw,node-name=odd,file.driver=file,file.filename="$PWD/odd.raw" \
	-device scsi-hd,drive=odd,id=odd 2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"

expect_code 0 "$VMABAK" qemu-drives "$qmp" --json
expect_json "$out" "[x['name'] for x in d['drives']] == ['one', 'two', 'slow', 'over', 'odd']" \
	"[x['by_default'] for x in d['drives']] == [True, False, True, True, True]" \
	"[x['backing'] for x in d['drives']] == [False, False, False, True, False]"
expect_code 0 "$VMABAK" qemu-drives "$qmp"
expect_text "$out" 'a node listed before: only with -d'

cp odd.raw odd.want
truncate -s 1000448 odd.want
for pull in '' --pull; do
	expect_code 0 "$VMABAK" backup "qemu:$qmp" $pull ${pull:+--scratch "$TMPDIR"} -o a$pull.vmab
	expect_text "$err" 'drive odd: its file has 1000001 bytes; the machine sees, and the archive holds, 1000448'
	expect_code 0 "$VMABAK" restore -q a$pull.vmab -C out$pull
	[ "$(ls out$pull | tr '\n' ' ')" = 'odd.raw one.raw over.raw qemu.json slow.raw ' ] || fail "restored: $(ls out$pull)"
	same_file shared.raw out$pull/one.raw
	same_file plain.raw out$pull/slow.raw
	same_file odd.want out$pull/odd.raw
	expect_code 0 qemu-img compare -U -f qcow2 -F raw base.qcow2 out$pull/over.raw
	nothing_in_qemu
done
# By either name, and by the node that has a backing file only in this QEMU.
expect_code 0 "$VMABAK" backup "qemu:$qmp" -d two -d top -o two.vmab
expect_no_text "$err" rounds
expect_code 0 "$VMABAK" restore -q two.vmab -C two
same_file shared.raw two/two.raw
expect_code 0 qemu-img compare -U -f qcow2 -F raw base.qcow2 two/top.raw
expect_error 2 'named twice' "$VMABAK" backup "qemu:$qmp" -d one -d two -o no.vmab
