# The process that mirrors a drive in an iothread is killed while it reads from QEMU, VMABAK_KILLS times (5): QEMU, which before
# 8.2 does not outlive a client that hangs up there, goes on, and its machine writes on; what is started again is the
# drive in the end.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/mirror.sh"
. "$CLI/iothread.sh"

need pgrep
start_writing_machine 16M
keeper() { pgrep -f "^vmabak mirror keep qemu:$qmp"; }

round=0
while [ $round -lt "${VMABAK_KILLS:-5}" ]; do
	round=$((round + 1))
	expect_code 0 mirror start -d root=root.new --force --rate 20M
	sleep "$("$PYTHON" -S -c 'import os; print(os.urandom(1)[0] / 400)')"
	pid=$(keeper) || fail 'no process that mirrors'
	kill -9 "$pid"
	wait_until dead "$pid"
	wait_until no_guard
	machine_is_well
	expect_code 0 mirror status
	expect_text "$out" 'mirror: killed'
done
expect_code 0 mirror start -d root=root.new --force
expect_code 0 mirror wait
writes_on
expect_code 0 mirror pivot
writes_on
nothing_of_mirrors
ask_qmp stop >/dev/null
# The pivot's target is what the machine is at, the other drive what it was.
ask_qmp query-block >"$TMPDIR/answer"
expect_text "$TMPDIR/answer" root.new
