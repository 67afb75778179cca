# Servers that tests of NBD talk to, each on a unix socket. For tests that have lib.sh already.

need_libnbd()
{
	need_feature libnbd
}

# nbd_uri SOCKET [EXPORT]
nbd_uri()
{
	echo "nbd+unix:///${2:-}?socket=$(echo "$TMPDIR/$1" | sed 's/ /%20/g')"
}

# end_process PID: and waits until it is gone; for servers that are not children.
end_process()
{
	kill "$1" 2>/dev/null || return 0
	wait_until gone "$1"
}

gone()
{
	! kill -0 "$1" 2>/dev/null
}

# serve_nbdkit SOCKET ARGUMENT...: until the test ends; its pid is in $server.
serve_nbdkit()
{
	need nbdkit
	lib_socket=$TMPDIR/$1
	shift
	nbdkit -P "$lib_socket.pid" -U "$lib_socket" "$@" || fail "nbdkit $*"
	wait_until test -s "$lib_socket.pid"
	server=$(cat "$lib_socket.pid")
	on_exit "kill -9 $server 2>/dev/null"
}

# serve_qemu_nbd SOCKET ARGUMENT...
serve_qemu_nbd()
{
	need qemu-nbd
	lib_socket=$TMPDIR/$1
	shift
	qemu-nbd --fork --pid-file="$lib_socket.pid" -k "$lib_socket" --persistent "$@" ||
		fail "qemu-nbd $*"
	server=$(cat "$lib_socket.pid")
	on_exit "kill -9 $server 2>/dev/null"
}

# serve_ours SOCKET [OPTION]... FILE...: the NBD server of this project over files, alone; until the
# test ends, its pid in $server. Options are those of tests/nbd/nbd_serve.c.
serve_ours()
{
	lib_serve=$(dirname "$VMABAK")/nbd-serve
	[ -x "$lib_serve" ] || skip "no nbd-serve beside vmabak: make $(dirname "$VMABAK")/nbd-serve"
	lib_socket=$TMPDIR/$1
	shift
	rm -f "$lib_socket.ready" # of one before, until the new one has got as far as to empty it
	"$lib_serve" -a "unix:$lib_socket" "$@" >"$lib_socket.ready" 2>"$lib_socket.log" &
	server=$!
	on_exit "kill -9 $server 2>/dev/null"
	wait_until test -s "$lib_socket.ready"
}

# start_daemon NAME ARGUMENT...: a qemu-storage-daemon with a monitor at $qmp, another one for the
# test itself at $asking, and a place for its exports at $exports; its pid is in $daemon.
start_daemon()
{
	need qemu-storage-daemon
	qmp=$TMPDIR/$1.qmp asking=$TMPDIR/$1.ask exports=$TMPDIR/$1.nbd
	shift
	qemu-storage-daemon --daemonize --pidfile "$qmp.pid" \
		--chardev "socket,path=$qmp,server=on,wait=off,id=qmp" --monitor chardev=qmp,id=m \
		--chardev "socket,path=$asking,server=on,wait=off,id=ask" --monitor chardev=ask,id=n \
		--nbd-server "addr.type=unix,addr.path=$exports" "$@" 2>"$qmp.log" ||
		fail "qemu-storage-daemon: $(cat "$qmp.log")"
	daemon=$(cat "$qmp.pid")
	on_exit "kill -9 $daemon 2>/dev/null"
}

# start_drives: a.raw and b.qcow2 as A and B, exported to whoever plays the guest.
start_drives()
{
	start_daemon two --blockdev driver=file,filename=a.raw,node-name=file \
		--blockdev driver=raw,file=file,node-name=A \
		--blockdev driver=qcow2,file.driver=file,file.filename=b.qcow2,node-name=B \
		--export type=nbd,id=a,node-name=A,name=A,writable=on \
		--export type=nbd,id=b,node-name=B,name=B,writable=on
	uri_A=$(export_uri A) uri_B=$(export_uri B)
}

# two_drives: raw A of 64 MiB and qcow2 B of 32 MiB.
two_drives()
{
	make_random a.raw 28000000 1
	truncate -s 64M a.raw
	qemu-img create -q -f qcow2 b.qcow2 32M
	qemu-io -f qcow2 -c 'write -q -P 7 1M 3M' -c 'write -q -P 8 30M 2M' b.qcow2
	start_drives
}

# export_uri NAME
export_uri()
{
	echo "nbd+unix:///$1?socket=$(echo "$exports" | sed 's/ /%20/g')"
}

# ask_qmp COMMAND [ARGUMENTS]: what QEMU answers; ARGUMENTS are JSON.
ask_qmp()
{
	"$PYTHON" -S -c 'import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.settimeout(100)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
lines.readline()
for command, arguments in ("qmp_capabilities", "{}"), (sys.argv[2], sys.argv[3]):
    print(json.dumps({"execute": command, "arguments": json.loads(arguments)}), file=lines, flush=True)
    while True:
        answer = json.loads(lines.readline())
        if "event" not in answer:
            break
print(json.dumps(answer["return"]))' "$asking" "$1" "${2:-{\}}"
}

jobs_run()
{
	ask_qmp query-jobs | grep -q vmabak-
}

# What a pull is read from.
exports_there()
{
	ask_qmp query-block-exports | grep -q vmabak-
}

# Neither job nor node nor bitmap of a run of ours, no process, no socket. The one who was killed may have begun to start
# the process that cleans up: then this is not to be found by its name yet, and the socket is there.
nothing_in_qemu()
{
	wait_until no_socket
	wait_until no_guard
	for lib_command in query-jobs query-named-block-nodes; do
		ask_qmp $lib_command >"$TMPDIR/answer"
		! grep -qE '"vmabak-[0-9a-f]{8}-' "$TMPDIR/answer" || fail "left in QEMU: $(head -c 2000 "$TMPDIR/answer")"
	done
}

no_socket()
{
	[ -z "$(ls -d "$TMPDIR"/vmabak-* 2>/dev/null)" ]
}

# kill_with_guard: $pid, a backup of $qmp, and the process that would clean up after it; when it returns both are dead,
# and hold no lock any more.
kill_with_guard()
{
	wait_until has_guard
	kill -STOP "$guard"
	kill -9 "$pid"
	wait "$pid" || true
	kill -9 "$guard"
	wait_until dead "$guard"
}

# kill_some N LONGEST SLOW OPTION...: SIGKILL of N backups of $qmp with OPTIONs and, as words, SLOW, at moments of up to
# LONGEST seconds. Each leaves no archive, and the next backup is well.
kill_some()
{
	lib_n=$1 lib_longest=$2 lib_slow=$3 lib_killed=0
	shift 3
	while [ "$lib_n" -gt 0 ]; do
		lib_n=$((lib_n - 1))
		lib_moment=$("$PYTHON" -c 'import random, sys; print(random.uniform(0, float(sys.argv[1])))' "$lib_longest")
		"$VMABAK" backup -q "qemu:$qmp" "$@" $lib_slow -o a.vmab 2>"$err" &
		pid=$!
		sleep "$lib_moment"
		kill -9 $pid 2>/dev/null || true
		lib_code=0
		wait $pid || lib_code=$?
		[ $lib_code != 0 ] || {
			rm a.vmab # this one had ended
			continue
		}
		lib_killed=$((lib_killed + 1))
		[ ! -e a.vmab ] || fail "an archive is there: $(ls -A)"
		# At once, while the dead one is being cleaned up after; or when that is done.
		[ $((lib_n % 2)) = 0 ] || nothing_in_qemu
		expect_code 0 "$VMABAK" backup "qemu:$qmp" "$@" -o next.vmab
		rm -f next.vmab .*.part
	done
	[ $lib_killed -gt 0 ] || fail 'none was killed'
	nothing_in_qemu
}

has_guard()
{
	guard=$(pgrep -o -f "^vmabak guard .*-- qemu:$qmp")
}

no_guard()
{
	! pgrep -f "^vmabak guard .*-- qemu:$TMPDIR" >/dev/null
}

# written_drives RATE: the two drives, written to all the while. With tests/live/lib.sh.
written_drives()
{
	need_images
	need_live_tools
	two_drives
	start_writers --chains 4 --align 512 --longest 65536 --rate "$1"
}

# judged_drives RATE: the same, and a judge who knows what was written.
judged_drives()
{
	need_images
	need_live_tools
	two_drives
	cp a.raw A.initial
	qemu-img convert -U -f qcow2 -O raw b.qcow2 B.initial
	start_writers --chains 4 --align 512 --longest 65536 --rate "$1"
	start_judge
}
