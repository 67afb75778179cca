# Two signals at once, as timeout sends them, are one: what is to be cleaned up is.
# long: waits for limits of a client
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

make_random a.raw 1000000 1
# twice PID: both are pending before the first is taken, which is SIGINT.
twice()
{
	kill -STOP $1
	wait_until grep -q 'T (stopped)' /proc/$1/status
	kill -TERM $1
	kill -INT $1
	kill -CONT $1
}

for _ in 1 2 3; do
	in_background "$VMABAK" serve --control c.sock --nbd unix:n.sock a=a.raw
	wait_until "$VMABAK" status c.sock >/dev/null 2>&1
	twice $pid
	ended_with 0 $pid
	nothing_but a.raw
done
expect_code 124 timeout 1 "$VMABAK" serve --control c.sock --nbd unix:n.sock a=a.raw
nothing_but a.raw
# But one that comes later ends it: a client that takes nothing holds it up for five seconds.
need nbdsh
in_background "$VMABAK" serve --control c.sock --nbd unix:n.sock a=a.raw
wait_until "$VMABAK" status c.sock >/dev/null 2>&1
"$PYTHON" -c 'import socket, struct, time
s = socket.socket(socket.AF_UNIX)
s.connect("n.sock")
s.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 1) + b"a")
for i in range(64): s.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, i, 0, 1000000))
s.recv(1000, socket.MSG_WAITALL)
open("held", "w").close()
time.sleep(100)' &
holder=$!
on_exit "kill -9 $holder 2>/dev/null"
wait_until test -e held
kill -TERM $pid
sleep 3
kill -TERM $pid
ended_with 143 $pid
kill $holder
rm -f held c.sock n.sock

if "$VMABAK" --version | grep -q libnbd=yes && command -v qemu-storage-daemon >/dev/null; then
	two_drives
	cleans_up()
	{
		in_background "$VMABAK" backup -q "qemu:$qmp" "$@" --compress none --rate 2M -o x.vmab
		wait_until has_part . 1000
		guard=$(pgrep -P $pid -f 'vmabak guard')
		kill -STOP $guard # which would have it go on before both are there
		twice $pid
		kill -CONT $guard
		ended_with 130 $pid
		nothing_in_qemu
	}
	cleans_up
	cleans_up --pull --nbd-server "$exports" --scratch "$TMPDIR"
	rm -f b.qcow2
fi
nothing_but a.raw
