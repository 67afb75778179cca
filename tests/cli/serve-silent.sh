# A serve that stands still: its clients end with 1 within seconds, and say whom they gave up. One
# that is slow is waited for.
# long: waits for limits of a client
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_random a.raw 40000000 1
stand_still()
{
	kill -STOP $serve
	wait_until grep -q 'T (stopped)' /proc/$serve/status
}

# gives_up COMMAND...
gives_up()
{
	expect_error 1 'c.sock: vmabak serve gives no answer' timeout 200 "$VMABAK" "$@"
}

start_serve a=a.raw
stand_still
gives_up status c.sock
gives_up backup -q serve:c.sock -o a.vmab
# Nor is there a place in its queue any more.
expect_code 1 timeout 200 "$PYTHON" -c 'import resource, socket, subprocess, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
held = []
try:
    while True:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        s.connect("c.sock")
        held.append(s)
except BlockingIOError: pass
sys.exit(subprocess.run(sys.argv[1:]).returncode)' "$VMABAK" status c.sock
expect_text "$err" 'c.sock: vmabak serve gives no answer'
kill -CONT $serve
wait_until no_backup

# In the middle of a backup.
in_background "$VMABAK" backup -q serve:c.sock --compress none --rate 4M -o a.vmab
wait_until has_part . 3000000
stand_still
timeout 200 tail --pid=$pid -f /dev/null || fail 'it waits for ever'
ended_with 1 $pid
expect_text "$err" 'c.sock: vmabak serve gives no answer'
kill -CONT $serve
wait_until no_backup
# For a moment: that is no reason.
in_background "$VMABAK" backup -q serve:c.sock --compress none --rate 8M -o b.vmab
wait_until has_part . 3000000
stand_still
sleep 3
kill -CONT $serve
ended_with 0 $pid
restored_is b.vmab a a.raw

stand_still
gives_up stop c.sock
nothing_but a.raw b.vmab b.vmab.sums c.sock n.sock serve.err
