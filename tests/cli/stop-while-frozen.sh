# A backup that is stopped between freeze and thaw: the guest is thawed in time all the same, and the
# backup, when it goes on, fails. So does one that was frozen together with its guard.
# long: waits for limits of a frozen guest
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need pgrep
two_drives
agent=$TMPDIR/agent
# start_agent WAY: see agent.py
start_agent()
{
	rm -f "$agent" "$TMPDIR/log"
	"$PYTHON" "$CLI/agent.py" "$agent" "$TMPDIR/log" "$@" 2>"$TMPDIR/agent.err" &
	agent_pid=$!
	on_exit "kill $agent_pid 2>/dev/null"
	wait_until test -S "$agent"
}

# stopped PID
stopped()
{
	grep -q 'T (stopped)' /proc/$1/status
}

start_agent stops-peer
in_background "$VMABAK" backup -q "qemu:$qmp" --guest-agent "$agent" --freeze-timeout 2 -o no.vmab
wait_until stopped $pid
wait_until grep -q guest-fsfreeze-thaw "$TMPDIR/log"
stopped $pid || fail 'it was not the guard that thawed'
kill -CONT $pid
ended_with 1 $pid
expect_text "$err" 'the snapshot was not taken within --freeze-timeout'
nothing_in_qemu
kill $agent_pid

# The other way round: the guard stands still, and the backup thaws.
start_agent freeze-hangs
in_background "$VMABAK" backup -q "qemu:$qmp" --guest-agent "$agent" --freeze-timeout 1 -o no.vmab
wait_until grep -q guest-fsfreeze-freeze "$TMPDIR/log"
guard=$(pgrep -P $pid)
kill -STOP $guard
timeout 200 tail --pid=$pid -f /dev/null || fail 'it waits for ever'
grep -q guest-fsfreeze-thaw "$TMPDIR/log" || fail 'not thawed'
ended_with 1 $pid
kill -CONT $guard
nothing_in_qemu
kill $agent_pid

# Both, as in a control group that is frozen: nobody can thaw meanwhile, but it is noticed.
start_agent stops-both
in_background "$VMABAK" backup -q "qemu:$qmp" --guest-agent "$agent" --freeze-timeout 1 -o no.vmab
wait_until stopped $pid
guard=$(pgrep -P $pid)
wait_until stopped $guard
sleep 2
kill -CONT $guard $pid
ended_with 1 $pid
expect_text "$err" 'no answer within 1 s'
wait_until grep -q guest-fsfreeze-thaw "$TMPDIR/log"
nothing_in_qemu
kill $agent_pid

# A command that freezes: the same.
in_background "$VMABAK" backup -q "qemu:$qmp" --freeze-timeout 2 --freeze-command "kill -STOP \$(pgrep -o -P $$ vmabak)" \
	--thaw-command 'echo thaw >>log' -o no.vmab
wait_until stopped $pid
wait_until test -s log
kill -CONT $pid
ended_with 1 $pid
expect_text "$err" 'the snapshot was not taken within --freeze-timeout'
nothing_in_qemu

# What ends a service ends every process of it: the guard still thaws.
rm log
in_background "$VMABAK" backup -q "qemu:$qmp" --freeze-command "kill -STOP \$(pgrep -o -P $$ vmabak)" \
	--thaw-command 'echo thaw >>log' -o no.vmab
wait_until stopped $pid
for one in $(pgrep -P $pid) $pid; do kill -TERM $one; done
kill -CONT $pid
wait $pid || true
wait_until test -s log
rm -f .*.part log
nothing_but a.raw b.qcow2
