# A server that refuses a client before it has read what that asks for: the client gives the server's reason.
. "$(dirname "$0")/lib.sh"
need_strace

cat >refuse.py <<'PYTHON'
import os, select, socket, sys
reads_late = sys.argv[1] == "late"
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind("c.sock")
listener.listen(8)
while True:
    client, _ = listener.accept()
    if reads_late:
        select.select([client], [], [])
    client.send(b'{"error":{"code":"locked","message":"the server is full"}}')
    client.close()
PYTHON
for when in late early; do
	rm -f c.sock
	"$PYTHON" refuse.py $when &
	server=$!
	on_exit "kill -9 $server 2>/dev/null"
	wait_until test -S c.sock
	# The request comes when the server has closed, or before.
	delay=0
	[ $when = late ] || delay=500000
	for command in 'status c.sock' 'stop c.sock' 'backup -q serve:c.sock -o no.vmab'; do
		expect_error 7 'the server is full' timeout 200 strace -f -qq -o trace \
			-e trace=sendmsg -e inject=sendmsg:delay_enter=$delay "$VMABAK" $command
	done
	kill $server
	wait $server 2>/dev/null || true
done
