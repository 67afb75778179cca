# The guest's file systems stand still around the instant, and are thawed on every path.
# long: waits for limits of a frozen guest
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
agent=$TMPDIR/agent
start_agent()
{
	"$PYTHON" "$CLI/agent.py" "$agent" "$TMPDIR/log" "$@" 2>"$TMPDIR/agent.err" &
	agent_pid=$!
	on_exit "kill $agent_pid 2>/dev/null"
	wait_until test -S "$agent"
}

# asked COMMAND...: what the agent was asked, but for synchronising; and it is stopped.
asked()
{
	kill $agent_pid
	rm "$agent"
	printf '%s\n' "$@" >"$TMPDIR/expected"
	grep -v sync "$TMPDIR/log" | diff "$TMPDIR/expected" - || fail "the agent was asked otherwise"
	rm "$TMPDIR/log"
	nothing_in_qemu
}
freeze=guest-fsfreeze-freeze thaw=guest-fsfreeze-thaw

start_agent garbage
expect_code 0 "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o a.vmab
expect_text "$err" 'guest file systems (2) were frozen for '
asked $freeze $thaw
start_agent
expect_code 0 "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o b.vmab --json
expect_json "$out" "d['capture']['frozen_filesystems'] == 2" "d['capture']['frozen_ms'] < 5000"
asked $freeze $thaw
# With commands too: they are the outer ones.
start_agent
expect_code 0 "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o b.vmab --force --json \
	--freeze-command 'echo first >>"$TMPDIR/log"' --thaw-command 'echo last >>"$TMPDIR/log"'
expect_json "$out" "d['capture']['frozen_filesystems'] == 2" "d['capture']['frozen_ms'] > 0"
asked first $freeze $thaw last
# One that fails leaves nothing to thaw but what it did itself.
start_agent
expect_error 1 '--freeze-command: ended with code 3' "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab \
	--freeze-command 'echo first >>"$TMPDIR/log"; exit 3' --thaw-command 'echo last >>"$TMPDIR/log"'
asked first last

start_agent freeze-fails
expect_error 1 'guest-fsfreeze-freeze: no \x1b[31mfreeze' \
	"$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab
asked $freeze $thaw
# The guest may be frozen only after we have given up.
start_agent freeze-hangs
expect_error 1 'no answer within 2 s' \
	"$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" --freeze-timeout 2 -o no.vmab
asked $freeze $thaw
# Killed, told to end, or QEMU goes away, with the guest frozen.
start_agent freeze-hangs
in_background "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab
wait_until grep -q $freeze "$TMPDIR/log"
kill -9 $pid
wait $pid || true
wait_until grep -q $thaw "$TMPDIR/log"
asked $freeze $thaw
# Nobody waits any more for an agent whose backup is gone, and the thaw command waits only for the agent's thaw.
start_agent freeze-silent
in_background "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" --freeze-timeout 3600 -o no.vmab \
	--freeze-command 'echo first >>"$TMPDIR/log"' --thaw-command 'echo last >>"$TMPDIR/log"'
wait_until grep -q $freeze "$TMPDIR/log"
kill -9 $pid
wait $pid || true
wait_until grep -q last "$TMPDIR/log"
asked first $freeze $thaw last
start_agent freeze-hangs
in_background "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab
wait_until grep -q $freeze "$TMPDIR/log"
kill -TERM $pid
ended_with 143 $pid
asked $freeze $thaw
# Nobody answers: told within seconds, before anything is begun.
start_agent silent
expect_error 1 "$agent" "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab
kill $agent_pid
rm "$agent"

start_agent freeze-hangs
in_background "$VMABAK" backup "qemu:$qmp" --guest-agent "$agent" -o no.vmab
wait_until grep -q $freeze "$TMPDIR/log"
kill -9 "$daemon"
ended_with 1 $pid
kill $agent_pid
grep -q $thaw "$TMPDIR/log" || fail "not thawed"

rm -f .*.part
nothing_but a.raw a.vmab b.qcow2 b.vmab
