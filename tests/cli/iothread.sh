# For tests of readers of drives in an iothread that are killed. After lib.sh.

# killed_at_moments WELL LEFT COMMAND...: of $VMABAK_KILLS (5) runs of it each is killed after up to a second and a half; then
# the commands WELL, and LEFT, are good.
killed_at_moments()
{
	lib_well=$1 lib_none=$2 lib_kills=0 lib_runs=0
	shift 2
	while [ $lib_kills -lt "${VMABAK_KILLS:-5}" ]; do
		lib_runs=$((lib_runs + 1))
		[ $lib_runs -lt $((${VMABAK_KILLS:-5} * 4)) ] || fail "only $lib_kills of $lib_runs were killed"
		in_background "$@"
		sleep "$("$PYTHON" -S -c 'import os; print(0.1 + os.urandom(1)[0] / 180)')"
		kill -9 $pid 2>/dev/null || true
		lib_code=0
		wait $pid 2>/dev/null || lib_code=$?
		rm -f killed.vmab killed.vmab.sums .*.part
		[ $lib_code = 137 ] || continue # it had ended
		lib_kills=$((lib_kills + 1))
		$lib_none
		$lib_well
	done
	echo "$lib_kills kills"
}

# start_writing_machine SIZE: a QEMU, $machine, with monitors at $qmp and $asking, that boots from root.raw, of that size, and
# writes to it; data.raw does nothing. Both are in an iothread. With peers.sh.
start_writing_machine()
{
	need qemu-system-x86_64
	make_random root.raw $((${1%M} * 1048576))
	"$PYTHON" -S "$CLI/boot_writer.py" root.raw
	make_random data.raw 1048576
	qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
	qemu-system-x86_64 -accel tcg -m 64 -nodefaults -no-user-config -display none -pidfile "$TMPDIR/pid" -daemonize \
		-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" -object iothread,id=io0 \
		-drive if=none,id=root,format=raw,file="$PWD/root.raw" -device virtio-blk-pci,drive=root,iothread=io0,bootindex=1 \
		-drive if=none,id=data,format=raw,file="$PWD/data.raw" -device virtio-blk-pci,drive=data,iothread=io0 \
		-D "$TMPDIR/qemu.log" 2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
	machine=$(cat "$TMPDIR/pid")
	on_exit "kill -9 $machine 2>/dev/null"
	writes_on
}

# How often the machine has written.
n_writes()
{
	ask_qmp query-blockstats >"$TMPDIR/stats" || return 1
	"$PYTHON" -S -c 'import json, sys
print(sum(d["stats"]["wr_operations"] for d in json.load(open(sys.argv[1]))))' "$TMPDIR/stats"
}

writes_on()
{
	lib_before=$(n_writes)
	wait_until eval '[ "$(n_writes)" -gt "$lib_before" ]'
}

machine_is_well()
{
	kill -0 "$machine" 2>/dev/null || fail "QEMU ended: $(cat "$TMPDIR/qemu.err")"
	n_writes >/dev/null || fail 'QEMU gives no answer'
}
