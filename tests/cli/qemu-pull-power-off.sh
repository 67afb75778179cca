# A machine that powers off while it is pulled: the backup fails, says why, leaves nothing, and warns of nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64 pgrep
# A boot sector: mov dx, 0x604; mov ax, 0x2000; out dx, ax; and again. That is the ACPI register of QEMU's pc.
make_random boot.raw 8388608 1
"$PYTHON" -c 'with open("boot.raw", "r+b") as file:
    file.write(b"\xba\x04\x06\xb8\x00\x20\xef\xeb\xf7".ljust(510, b"\0") + b"\x55\xaa")'
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
qemu-system-x86_64 -S -display none -nodefaults -machine pc,accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize \
	-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
	-drive if=none,id=boot,file=boot.raw,format=raw -device virtio-blk-pci,drive=boot,bootindex=1 \
	2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"
in_background "$VMABAK" backup "qemu:$qmp" --pull --scratch "$TMPDIR" --rate 100K --compress none -o no.vmab
wait_until eval 'ask_qmp query-block-exports | grep -q vmabak-'
ask_qmp cont >"$TMPDIR/answer"
ended_with 1 $pid
wait_until gone "$machine"
expect_text "$err" 'QEMU has ended'
expect_no_text "$err" warning
wait_until no_guard
[ -z "$(ls -d "$TMPDIR"/vmabak-* .*.part no.vmab 2>/dev/null)" ] || fail "left: $(ls -dA "$TMPDIR"/vmabak-*/* .* *)"
