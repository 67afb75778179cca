# A pull that is ended while it connects to QEMU does not end QEMU's server in the midst of a
# handshake: QEMU would wait for that for ever, with all of the machine.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64 pgrep
need_strace
make_random a.raw 4000000 1
make_random b.raw 4000000 2
truncate -s 4M a.raw b.raw
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" \
	-daemonize -qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
	-drive if=none,id=a,file=a.raw,format=raw -device virtio-blk-pci,drive=a \
	-drive if=none,id=b,file=b.raw,format=raw -device virtio-blk-pci,drive=b \
	2>"$TMPDIR/qemu.err" || skip "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"

for signal in INT KILL; do
	in_background strace -f -qq -o /dev/null -e trace=connect -e inject=connect:delay_exit=1500000:when=2+ \
		"$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" -q -o a.vmab
	wait_until eval 'ask_qmp query-block-exports | grep -q vmabak-'
	sleep 0.3
	kill -$signal "$(pgrep -o -f "^$VMABAK backup qemu:$qmp")"
	wait $pid && fail "SIG$signal: it ended well"
	nothing_in_qemu
	rm -f .*.part
	[ ! -e a.vmab ] || fail "an archive after SIG$signal"
done
expect_code 0 "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" -o a.vmab
