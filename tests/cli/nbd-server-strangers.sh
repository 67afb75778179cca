# Connections that do not finish their handshake keep nobody out: neither with TLS, nor without, nor
# when the server may open few files. They are ended in time; clients may be silent.
# long: waits for limits of the handshake
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 1000000 1
echo "alice:00112233445566778899aabbccddeeff" >keys.psk
port=$(free_port)
cat >strangers.py <<'END'
import nbd, select, socket, sys, time

place, tls, n, seconds = sys.argv[1], sys.argv[2] == "tls", int(sys.argv[3]), float(sys.argv[4])

def connect():
    if place.startswith("unix:"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(100)
        s.connect(place[5:])
    else:
        s = socket.create_connection(("127.0.0.1", int(place)), timeout=100)
    s.setblocking(False)
    return s

def guest():
    h = nbd.NBD()
    if tls:
        h.set_tls(nbd.TLS_REQUIRE)
        h.set_tls_username("alice")
        h.set_tls_psk_file("keys.psk")
    h.set_export_name("a")
    if place.startswith("unix:"): h.connect_unix(place[5:])
    else: h.connect_tcp("127.0.0.1", place)
    h.pread(512, 0)
    return h

first = guest()
strangers = [connect() for _ in range(n)]
end, got_in = time.monotonic() + seconds, 0
while got_in == 0 or time.monotonic() < end:
    # Whoever was thrown out comes again at once.
    for s in select.select(strangers, [], [], 0)[0]:
        try:
            if s.recv(4096): continue
        except OSError: pass
        strangers.remove(s)
        s.close()
        strangers.append(connect())
    guest().shutdown()
    got_in += 1
    first.pread(512, 0)
first.shutdown()
END

strangers()
{
	timeout 200 "$PYTHON" strangers.py "$@" >"$out" 2>&1 || fail "kept out ($*): $(cat "$out")"
	expect_code 0 "$VMABAK" status c.sock
	wait_until status 's["n_connections"] == 0' >/dev/null
}

start_serve --nbd 127.0.0.1:$port --plain-loopback a=a.raw
strangers $port plain 64 1
strangers $port plain 300 3
strangers unix:n.sock plain 300 3
# For a TCP client that says nothing the machine is asked within minutes, not hours.
if command -v ss >/dev/null; then
	"$PYTHON" -c 'import nbd, subprocess, sys, time
h = nbd.NBD()
h.set_export_name("a")
h.connect_tcp("127.0.0.1", sys.argv[1])
h.pread(512, 0)
for _ in range(200):
    said = subprocess.run(["ss", "-Htno", "state", "established", "sport", "=", ":" + sys.argv[1]], capture_output=True, text=True).stdout
    if "(keepalive," in said: break
    time.sleep(0.1)
sys.exit(0 if "(keepalive,1min," in said or "(keepalive," in said and "min" not in said else said)' $port || fail 'no keepalive in time'
fi
# The handshake as a whole has ten seconds, whatever is said in it; a client has no limit.
cat >late.py <<'END'
import nbd, socket, time
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.connect("n.sock")
    s.settimeout(60)
    return s
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=n.sock")
begun, silent, talks = time.monotonic(), connect(), connect()
talks.sendall(b"\0\0\0\3")
try:
    while True:
        talks.sendall(b"IHAVEOPT\0\0\0\3\0\0\0\0")
        if not talks.recv(65536): break
        time.sleep(0.2)
except OSError: pass
while silent.recv(100): pass
took = time.monotonic() - begun
assert 8 < took < 100, took
h.pread(512, 0)
h.shutdown()
END
expect_code 0 timeout 200 "$PYTHON" late.py
stop_serve

# With few files to open.
(
	ulimit -n 64
	exec "$VMABAK" serve --control c.sock --nbd unix:n.sock a=a.raw
) 2>serve.err &
serve=$!
on_exit "kill -9 $serve 2>/dev/null"
wait_until "$VMABAK" status c.sock >/dev/null 2>&1
strangers unix:n.sock plain 100 2
expect_code 0 live a.vmab -q
# Nor do they keep it from being stopped.
"$PYTHON" -c 'import socket, time
s = socket.socket(socket.AF_UNIX)
s.connect("n.sock")
open("held", "w").close()
time.sleep(600)' &
on_exit "kill $! 2>/dev/null"
wait_until test -e held
stop_serve

"$VMABAK" --version | grep -q tls=yes || exit 0
start_serve --nbd 127.0.0.1:$port --tls-psk keys.psk a=a.raw
strangers $port tls 64 1
strangers $port tls 300 3
stop_serve
