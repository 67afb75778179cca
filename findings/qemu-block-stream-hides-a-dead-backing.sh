#!/bin/sh
# Commonly believed: while block-stream fills an overlay from its backing file, a guest that reads what is not there yet
# gets it from the backing file, or, if that cannot be read, an error. So an image can be put in place from a server on
# the network while a machine runs on it, and the worst that a lost server does is that reads fail.
#
# True: without a job they do fail. With one, the guest's reads of data that was not streamed yet end well once the server
# is gone, without the data: the guest gets no error and something else. The filter that the job puts over
# the overlay asks the backing file for its allocation first, and takes the failure for the end of that file. What the
# job's on-error says decides only how long the job, and with it the filter, stays. blockdev-mirror onto the new disk
# has no such filter.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3), a backing file full of ones on an NBD server that ends; by hand
# also with 10.0.13 and 11.1.3:
#     the server is there: no job: ones, job: ones
#     the server is gone: no job: an error, job: other data, no error
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qemu-block-stream-hides-a-dead-backing: $2" >&2
	exit "$1"
}

server=
daemon=
clean_up()
{
	exec 3>&- || :
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || :
	wait || :
	rm -rf "$folder"
}

folder=$(mktemp -d)
trap clean_up EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-utils='1:7.2+dfsg-7+deb12u18+b3' qemu-system-common='1:7.2+dfsg-7+deb12u18+b3' \
	libaio1=0.3.113-4 liburing2=2.3-3 libnuma1=2.0.16-1 libfuse3-3=3.14.0-4 libglib2.0-0=2.74.6-2+deb12u9 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH

# await FILE PID
await()
{
	until [ -s "$1" ]; do
		kill -0 "$2" 2>/dev/null || stop 2 "a qemu-storage-daemon does not run"
		sleep 0.1
	done
}

# serve: the backing file, until $server is killed
serve()
{
	rm -f server.pid
	qemu-storage-daemon --pidfile server.pid --nbd-server addr.type=unix,addr.path="$folder/far" \
		--blockdev file,node-name=old,filename=old.raw,read-only=on --export nbd,id=e,node-name=old,name=old &
	server=$!
	await server.pid "$server"
}

# run: the overlay as a guest sees it, and a monitor that takes commands on descriptor 3
run()
{
	rm -f daemon.pid monitor new.qcow2
	qemu-img create -q -f qcow2 new.qcow2 64M
	mkfifo monitor
	qemu-storage-daemon --pidfile daemon.pid --nbd-server addr.type=unix,addr.path="$folder/near" \
		--blockdev nbd,node-name=far,export=old,server.type=unix,server.path="$folder/far",read-only=on \
		--blockdev file,node-name=file,filename=new.qcow2 --blockdev qcow2,node-name=new,file=file,backing=far \
		--export nbd,id=e,node-name=new,name=new,writable=on \
		--chardev stdio,id=m --monitor m <monitor >answers &
	daemon=$!
	exec 3>monitor
	echo '{"execute": "qmp_capabilities"}' >&3
	await daemon.pid "$daemon"
}

# ended: both, for the next trial
ended()
{
	exec 3>&-
	kill "$daemon" 2>/dev/null || :
	kill "$server" 2>/dev/null || :
	wait || :
	server=
	daemon=
}

# What is read at 32 MiB, far behind what was streamed. It is read as a guest's device does: a client that asks for
# structured replies has the server look up the allocation first, and that does report the error.
cat >look.py <<'END_OF_PYTHON'
import socket, struct, sys

def get(n):
    parts = b""
    while len(parts) < n:
        part = s.recv(n - len(parts))
        if not part:
            sys.exit("the server has hung up")
        parts += part
    return parts

s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
get(18)
s.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 3) + b"new")
get(10)
n = 65536
s.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, 1, 32 << 20, n))
magic, error, handle = struct.unpack(">IIQ", get(16))
if error:
    print("an error")
else:
    print("ones" if get(n) == b"\x01" * n else "other data, no error")
END_OF_PYTHON

look()
{
	timeout 60 python3 look.py "$folder/near" || stop 2 "cannot read"
}

# one that is slow: 64 KiB in a second
start_job()
{
	echo '{"execute": "block-stream", "arguments": {"job-id": "s", "device": "new", "speed": 65536, "on-error": "stop"}}' >&3
	until grep -q '"running"' answers; do
		kill -0 "$daemon" 2>/dev/null || stop 2 "the job does not start"
		sleep 0.1
	done
}

end_server()
{
	kill -9 "$server"
	wait "$server" 2>/dev/null || :
	server=
}

truncate -s 64M old.raw
qemu-io -f raw -c 'write -q -P 1 0 64M' old.raw || stop 2 "cannot write the backing file"

serve
run
without=$(look)
start_job
with=$(look)
ended
echo "the server is there: no job: $without, job: $with"
[ "$without, $with" = "ones, ones" ] || stop 1 "data is read differently while the server is there"

serve
run
end_server
without=$(look)
ended
serve
run
start_job
end_server
with=$(look)
ended
echo "the server is gone: no job: $without, job: $with"
[ "$without, $with" = "an error, other data, no error" ] || stop 1 "a lost server shows itself differently"
