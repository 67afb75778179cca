# stop waits until all is on disk, and refuses while somebody is connected; signals stop it as well.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 20000000 1

# hold: a guest that is connected, and stays.
hold()
{
	rm -f held
	"$PYTHON" -c 'import nbd, os, time
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=n.sock")
h.pwrite(b"held" * 128, 65536)
open("held", "w").close()
try:
    while True:
        h.pread(512, 0)
        time.sleep(0.05)
except nbd.Error:
    pass' &
	holder=$!
	on_exit "kill -9 $holder 2>/dev/null"
	wait_until test -e held
}

start_serve --map a.map a=a.raw
hold
status "s['n_connections'] == 1" "s['drives'][0]['n_connections'] == 1" "s['drives'][0]['map']['changed_clusters'] == 1"
expect_code 0 "$VMABAK" status serve:c.sock
expect_text "$out" ', writable, 1 connection' 'a.raw, 1 connection'
expect_no_text "$out" connections
expect_error 7 '1 client is connected; --force' "$VMABAK" stop serve:c.sock
expect_code 7 "$VMABAK" stop --json c.sock
expect_json "$out" "d['error']['code'] == 'locked'"
kill -0 $serve || fail "it ended all the same"
kill $holder
wait $holder || true
wait_until status "s['n_connections'] == 0" >/dev/null
expect_code 0 "$VMABAK" status c.sock
expect_text "$out" ', writable, 0 connections'
stalled_backup -q --buffer 16M
expect_error 7 'a backup is running' "$VMABAK" stop c.sock
hold
stop_serve --force
ended_with 1 $backup
exec 5<&-
rm pipe
wait $holder
[ "$(head -c 65540 a.raw | tail -c 4)" = held ] || fail "what was written is lost"
nothing_but a.map a.raw held said serve.err

for signal in TERM INT HUP; do
	"$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' "$VMABAK" serve --control c.sock --nbd unix:n.sock --map a.map a=a.raw 2>serve.err &
	serve=$!
	wait_until "$VMABAK" status c.sock >/dev/null 2>&1
	expect_text serve.err 'map a.map: clean'
	guest a 'h.pwrite(b"x" * 512, 131072)'
	kill -$signal $serve
	ended_with 0 $serve
done
expect_error 1 'no vmabak serve listens there' "$VMABAK" stop c.sock
expect_error 1 'no vmabak serve listens there' "$VMABAK" status c.sock
expect_error 1 'a.raw' "$VMABAK" status a.raw
nothing_but a.map a.raw held said serve.err

# A backup that has just ended does not keep it from stopping.
for round in $(seq 15); do
	start_serve a=a.raw
	expect_code 0 "$VMABAK" backup -q serve:c.sock --force -o a.vmab
	expect_code 0 "$VMABAK" stop c.sock
	ended_with 0 $serve
done
