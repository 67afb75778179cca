#!/bin/sh
# Commonly believed: the length of a QMP command does not matter. A monitor on a unix socket reads what is there, and
# parsing JSON is fast.
#
# True: QEMU asks for one byte at a time, each with a system call of its own and another turn of its event loop, about
# eight system calls in all. 100 KB of commands, as it takes to make and remove nodes, jobs and exports for 100
# drives, keep a processor busy for a third of a second. So leaving out members that QEMU assumes anyway is worth it.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3):
#     two commands of 2000 bytes: read in 4000 pieces or more
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qemu-reads-its-monitor-by-bytes: $2" >&2
	exit "$1"
}

tracer=
clean_up()
{
	[ ! -s ready ] || kill "$(cat ready)" || :
	[ -z "$tracer" ] || wait "$tracer" || :
	rm -rf "$folder"
}

command -v strace >/dev/null || stop 2 "needs strace"
folder=$(mktemp -d)
trap clean_up EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-system-common='1:7.2+dfsg-7+deb12u18+b3' libaio1=0.3.113-4 liburing2=2.3-3 \
	libnuma1=2.0.16-1 libfuse3-3=3.14.0-4 libglib2.0-0=2.74.6-2+deb12u9 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH

strace -f -e trace=recvmsg -o calls qemu-storage-daemon --pidfile ready \
	--chardev socket,id=socket,path=socket,server=on,wait=off --monitor chardev=socket &
tracer=$!
until [ -s ready ]; do
	kill -0 "$tracer" 2>/dev/null || stop 2 "qemu-storage-daemon does not run"
	sleep 0.1
done

python3 -c 'import json, socket
monitor = socket.socket(socket.AF_UNIX)
monitor.settimeout(60)
monitor.connect("socket")
lines = monitor.makefile("rw")
lines.readline()
for command in "qmp_capabilities", "query-version":
    lines.write(json.dumps({"execute": command}).rjust(2000) + "\n")
    lines.flush()
    if "return" not in json.loads(lines.readline()):
        raise SystemExit(1)' || stop 2 "the monitor does not answer"

kill "$(cat ready)"
wait "$tracer" || :
tracer=
rm -f ready
n=$(grep -c '= 1$' calls || :)
[ "$n" -ge 4000 ] || stop 1 "two commands of 2000 bytes took $n reads of a byte"
echo "two commands of 2000 bytes: read in 4000 pieces or more"
