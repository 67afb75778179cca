# A drive that a running QEMU decrypts is in clear in the archive, which is said, once, by push and pull.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need_images

printf secret >key
encrypted qemu-img create -q -f qcow2 --object secret,id=s,file=key \
	-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 A.qcow2 8M
cp A.qcow2 B.qcow2
truncate -s 1M C.raw
start_daemon A --object secret,id=s,file="$PWD/key" \
	--blockdev driver=qcow2,node-name=A,encrypt.format=luks,encrypt.key-secret=s,file.driver=file,file.filename=A.qcow2 \
	--blockdev driver=qcow2,node-name=B,encrypt.format=luks,encrypt.key-secret=s,file.driver=file,file.filename=B.qcow2 \
	--blockdev driver=file,node-name=C,filename=C.raw
for how in push pull; do
	set --
	[ $how = push ] || set -- --pull --nbd-server "$exports" --scratch "$TMPDIR"
	expect_code 0 "$VMABAK" backup "qemu:$qmp" "$@" -d A -d B -d C --force -o a.vmab
	[ "$(grep -c 'in clear in the archive: A, B$' "$err")" = 1 ] || fail "$(cat "$err")"
	expect_code 0 "$VMABAK" backup "qemu:$qmp" "$@" -d C --force -o a.vmab
	expect_no_text "$err" 'in clear'
done
end_process "$daemon"

# Below a filter, and below an overlay that is not encrypted itself.
need qemu-system-x86_64
cp A.qcow2 C.qcow2
qemu-img create -q -f qcow2 over.qcow2 8M
qmp=$TMPDIR/vm.qmp
node=driver=qcow2,encrypt.format=luks,encrypt.key-secret=s,file.driver=file
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize \
	-qmp "unix:$qmp,server=on,wait=off" -object secret,id=s,file=key -object throttle-group,id=limits \
	-blockdev $node,node-name=A,file.filename=A.qcow2 \
	-blockdev driver=throttle,node-name=slow,throttle-group=limits,file=A -device virtio-blk-pci,drive=slow,id=slow \
	-blockdev $node,node-name=C,file.filename=C.qcow2,read-only=on \
	-blockdev driver=qcow2,node-name=over,file.driver=file,file.filename=over.qcow2,backing=C \
	-device virtio-blk-pci,drive=over,id=over \
	-blockdev driver=file,node-name=plain,filename=C.raw -device virtio-blk-pci,drive=plain,id=plain \
	2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"
expect_code 0 "$VMABAK" backup "qemu:$qmp" --force -o a.vmab
expect_text "$err" 'in clear in the archive: slow, over'
expect_no_text "$err" plain
