# What calls itself QEMU's monitor and is not: a clear error, in time, whatever it says.
. "$(dirname "$0")/lib.sh"

cat >"$TMPDIR/monitor.py" <<'END'
import json, os, socket, sys
path, way = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path + ".new")
listener.listen()
os.rename(path + ".new", path)
peer = listener.accept()[0]
hello = b'{"QMP": {"version": {}, "capabilities": []}}\n'
def answers(*values):
    peer.sendall(hello)
    requests = peer.makefile("rb")
    for value in values:
        id = json.loads(requests.readline())["id"]
        if isinstance(value, bytes):
            peer.sendall(value)
        else:
            peer.sendall(json.dumps({"event": "E", "data": {"id": id}}).encode() + b"\n" +
                         json.dumps({"id": id + 1, "return": "of another"}).encode() + b"\n" +
                         json.dumps({"id": id, **value}).encode() + b"\n")
    peer.recv(1000)
ok = {"return": {}}
node = {"node-name": "n", "drv": "raw", "image": {"virtual-size": 1 << 20, "filename": "f"}}
try:
    if way == "hangs-up":
        pass
    elif way == "garbage":
        peer.sendall(os.urandom(1000) + b"\n" * 10)
    elif way == "no-greeting":
        peer.sendall(b'{"return": {}}\n')
    elif way == "endless":
        peer.sendall(b"[" * (64 << 20))
    elif way == "deep":
        peer.sendall(b'{"QMP":' + b"[" * 1000000 + b"\n")
    elif way == "refuses":
        answers({"error": {"class": "GenericError", "desc": "no\x1b[2J way"}})
    elif way == "neither":
        answers({})
    elif way == "wrong-types":
        answers(ok, {"return": {"a": [1]}}, {"return": "text"})
    elif way == "no-size":
        answers(ok, {"return": []}, {"return": [{"device": "a", "inserted": {"node-name": "n"}}]})
    elif way == "negative":
        bad = {"node-name": "n", "image": {"virtual-size": -1}}
        answers(ok, {"return": []}, {"return": [{"device": "a", "inserted": bad}]})
    elif way == "names":
        one = {"device": "../../x", "inserted": node, "qdev": None, "removable": 5}
        answers(ok, {"return": []}, {"return": [one, one, 3, None]})
except OSError:
    pass
END
# said WAY CODE TEXT
said()
{
	"$PYTHON" "$TMPDIR/monitor.py" "$TMPDIR/$1" "$1" &
	on_exit "kill $! 2>/dev/null"
	wait_until test -S "$TMPDIR/$1"
	expect_code "$2" timeout 200 "$VMABAK" qemu-drives "$TMPDIR/$1"
	[ "$2" = 0 ] || expect_text "$err" "$3"
	case $(cat "$err") in *"$(printf '\033')"*) fail "a control character" ;; esac
}
said hangs-up 1 'hung up'
said garbage 1 'not a QMP monitor'
said no-greeting 1 'not a QMP monitor'
said endless 1 'a line of more than 16777216 bytes'
said deep 1 'not a QMP monitor'
said refuses 1 'qmp_capabilities: no\x1b[2J way'
said neither 1 'not a QMP monitor'
said no-size 1 'without a name or size'
said negative 1 'without a name or size'
said names 0
# Names that could not be a file's are not taken for drives; the same node twice is shown.
expect_text "$out" 'n        1.0 MiB  raw     n ' 'disk1    1.0 MiB  raw     n  '
expect_no_text "$out" '..'
# What is of the wrong type is as if it were not there.
said wrong-types 0
[ ! -s "$out" ] || fail "drives were found: $(cat "$out")"
expect_error 1 'QMP no-such: ' "$VMABAK" qemu-drives no-such
expect_error 2 'too few arguments' "$VMABAK" qemu-drives
: >file
expect_error 1 'QMP file: ' "$VMABAK" qemu-drives file
