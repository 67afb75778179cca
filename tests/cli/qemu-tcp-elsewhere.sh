# A monitor on another host: its QEMU would get neither at the sockets nor at the scratch images of this one.
. "$(dirname "$0")/lib.sh"

need_root
need unshare nsenter ip
unshare -n sleep 600 &
other=$!
on_exit "kill $other 2>/dev/null"
wait_until eval '[ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]'
cat >"$TMPDIR/here" <<'END2'
set -e
ip link add here type veth peer name there netns "$1"
ip address add 192.0.2.1/24 dev here
ip link set here up
nsenter -t "$1" -n ip address add 192.0.2.2/24 dev there
nsenter -t "$1" -n ip link set there up
nsenter -t "$1" -n "$PYTHON" -c 'import socket
with socket.create_server(("192.0.2.2", 4444)) as server:
    print(flush=True)
    server.settimeout(100)
    server.accept()' >"$TMPDIR/listens" &
while [ ! -s "$TMPDIR/listens" ]; do
	kill -0 $!
	sleep 0.05
done
shift
exec "$@"
END2
expect_error 2 'tcp:192.0.2.2:4444: is not this host' \
	unshare -n sh "$TMPDIR/here" $other "$VMABAK" backup qemu:tcp:192.0.2.2:4444 -o a.vmab
nothing_but
