# Clients of the control socket that say nothing keep nobody out, nor does one that stands still in
# the middle of a backup, once that has failed.
# long: waits for limits of a client
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 20000000 1
start_serve a=a.raw
cat >hold.py <<'END'
import socket, subprocess, sys
held = []
for _ in range(int(sys.argv[1])):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(100)
    s.connect("c.sock")
    held.append(s)
sys.exit(subprocess.run(sys.argv[2:]).returncode)
END
for n in 16 40; do
	expect_code 0 timeout 200 "$PYTHON" hold.py $n "$VMABAK" status c.sock
	expect_code 0 timeout 200 "$PYTHON" hold.py $n "$VMABAK" backup -q serve:c.sock -o $n.vmab
done

# A backup under way does not give way.
stalled_backup -q --buffer 16M
expect_code 0 timeout 200 "$PYTHON" hold.py 40 "$VMABAK" status c.sock
cat <&5 >out.vmab
exec 5<&-
ended_with 0 $backup
expect_code 0 "$VMABAK" verify -q out.vmab

stalled_backup -q --buffer 16M --spill 0
kill -STOP $backup
guest a 'for i in range(0, 19000000, 65536): h.pwrite(b"x" * 65536, i)'
wait_until no_backup
expect_code 0 live second.vmab -q
kill -CONT $backup
cat <&5 >"$TMPDIR/rest"
exec 5<&-
ended_with 1 $backup
stop_serve
