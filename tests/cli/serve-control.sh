# The control socket takes nonsense without harm, and nobody but root and the user of the server.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_random a.raw 1000000 1
make_random big.raw 20000000 2
start_serve a=a.raw big=big.raw
cat >talk.py <<'END'
import array, json, os, socket, sys, time

def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(100)
    s.connect("c.sock")
    return s

def ask(s, message):
    s.send(message if isinstance(message, bytes) else json.dumps(message).encode())
    return json.loads(s.recv(1 << 20) or b"null")

def channel(s):
    s.send(b'{"execute": "channel"}')
    said, fds, _, _ = socket.recv_fds(s, 1 << 20, 1)
    assert json.loads(said) == {"return": {}} and len(fds) == 1, (said, fds)
    c = socket.socket(fileno=fds[0])
    c.settimeout(100)
    return c

def refused(message, code):
    answer = ask(connect(), message)
    assert answer["error"]["code"] == code, (message, answer)

for message in (b"x", b"{", b"[]", b"1", b"null", b"\0", b"\xff" * 100, b"[" * 100000, {}, {"execute": 1}, {"execute": []},
                b'{"execute": "status", "execute": "stop"}', b"{" * 150000):
    refused(message, "usage")
refused(b" " * 163841, "usage")
refused({"execute": "other"}, "unsupported")
refused({"execute": "\u202e\x1b" * 1000}, "unsupported")
for wrong in ({"drives": ["b"]}, {"drives": [1]}, {"drives": ["a", "a"]}, {"drives": ["a", "b", "c"]}, {"buffer": 1}, {"buffer": 2 ** 62},
              {"spill": 5}, {"spill": 2 ** 40, "spill_dir": 7}):
    refused({"execute": "backup", **wrong}, "usage")
assert "error" in ask(connect(), {"execute": "backup", "buffer": 2 ** 24, "spill": 1 << 20, "spill_dir": "/nowhere"})

# In the middle of a backup.
for second in ({"execute": "next"}, {"execute": "release", "chunks": [0]}, {"execute": "release", "chunks": [2 ** 62]},
               {"execute": "release", "chunks": ["0"]}, {"execute": "stop"}, {}, b"x"):
    for begin in (False, True):
        s = connect()
        plan = ask(s, {"execute": "backup", "buffer": 2 ** 24})
        assert plan["return"]["drives"][0]["size_bytes"] == 1000000 and plan["return"]["n_chunks"] == 4, plan
        if begin:
            assert ask(s, {"execute": "begin"})["return"]["quiesce_ns"] >= 0
        assert ask(s, second)["error"]["code"] == "usage", second
        s.close()
        # It goes once the server has seen that.
        while "backup" in ask(connect(), {"execute": "status"})["return"]["drives"]: time.sleep(0.01)

# Over a channel: what is no question for the next, or gives back what it has not got. It is told at the control socket.
def begin(drive, n_channels, size=2 ** 24):
    for _ in range(1000):
        s = connect()
        if "return" in ask(s, {"execute": "backup", "drives": [drive], "buffer": size}): break
        time.sleep(0.01)
    channels = [channel(s) for _ in range(n_channels)]
    assert ask(s, {"execute": "begin"})["return"]["quiesce_ns"] >= 0
    return [s] + channels

def told_usage(s, *channels):
    assert json.loads(s.recv(1 << 20))["error"]["code"] == "usage"
    for c in channels:
        assert c.recv(1 << 20) == b""
    s.close()

for message in ({"execute": "release", "chunks": []}, {"execute": "begin"}, {"execute": "channel"}, {}, b"x", b" " * 163841,
                {"execute": "next", "chunks": [0]}, {"execute": "next", "chunks": [2 ** 62]}, {"execute": "next", "chunks": ["0"]}):
    s, c, d = begin("a", 2)
    c.send(message if isinstance(message, bytes) else json.dumps(message).encode())
    told_usage(s, c, d)

# What is given back twice, or never, and asked for after the end.
for last in "next", "release":
    s, c = begin("a", 1)
    chunk = ask(c, {"execute": "next"})["chunk"]
    for _ in range(50): assert "done" in ask(c, {"execute": "next"})
    assert "done" in ask(c, {"execute": "next", "chunks": [chunk]})
    (c if last == "next" else s).send(b'{"execute": "%s", "chunks": [%d]}' % (last.encode(), chunk))
    told_usage(s, c)

# As many channels as there may be, and one too many.
s = connect()
assert "return" in ask(s, {"execute": "backup", "drives": ["a"], "buffer": 2 ** 24})
channels = [channel(s) for _ in range(256)]
assert ask(s, {"execute": "channel"})["error"]["code"] == "usage"
s.close()
for c in channels: c.close()

# When half of the memory is lent out a question waits, until a chunk comes back in either way; the other channels
# do not wait with it, nor does it matter that one of them is closed.
for way in "next", "release":
    s, c, d, e = begin("big", 3)
    e.close()
    chunks = [ask(c, {"execute": "next"})["chunk"] for _ in range(2)]
    c.send(b'{"execute": "next"}')
    c.settimeout(0.5)
    try:
        assert False, c.recv(1 << 20)
    except TimeoutError:
        pass
    c.settimeout(100)
    if way == "release":
        s.send(json.dumps({"execute": "release", "chunks": chunks}).encode())
    else:
        assert "data" in ask(d, {"execute": "next", "chunks": chunks})
    assert "data" in json.loads(c.recv(1 << 20))
    s.close()
    assert c.recv(1 << 20) == b""

# Descriptors that come with a message are closed.
before = len(os.listdir("/proc/%s/fd" % sys.argv[1]))
s = connect()
for _ in range(20):
    s.sendmsg([b'{"execute": "status"}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2] * 5))])
    assert "return" in json.loads(s.recv(1 << 20))
assert len(os.listdir("/proc/%s/fd" % sys.argv[1])) <= before + 2

# More than there are places for: the oldest give way, and no more threads than places are made.
s.close()
many = [connect() for _ in range(40)]
for s in many[-16:]:
    assert "return" in ask(s, {"execute": "status"})
n = len(os.listdir("/proc/%s/task" % sys.argv[1]))
assert n <= 16 + 10, n
for s in many: s.close()
END
"$PYTHON" talk.py $serve || fail "see above"
kill -0 $serve || fail "the server died: $(cat serve.err)"
wait_until no_backup
expect_code 0 live a.vmab
restored_is a.vmab a a.raw
if [ "$(id -u)" = 0 ]; then
	chmod 666 c.sock
	"$PYTHON" -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
os.setresuid(65534, 65534, 65534)
try:
    s.connect("c.sock")
    s.send(b"{\"execute\": \"status\"}")
    got = s.recv(100000)
except OSError:
    got = b""
sys.exit(got != b"")' || fail "another user was served"
fi
stop_serve
