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
    s.settimeout(20)
    s.connect("c.sock")
    return s

def ask(s, message):
    s.send(message if isinstance(message, bytes) else json.dumps(message).encode())
    return json.loads(s.recv(1 << 20) or b"null")

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
              {"askers": 0}, {"askers": 257},
              {"spill": 5}, {"spill": 2 ** 40, "spill_dir": 7}):
    refused({"execute": "backup", **wrong}, "usage")
assert "error" in ask(connect(), {"execute": "backup", "buffer": 2 ** 24, "spill": 1 << 20, "spill_dir": "/nowhere"})

# In the middle of a backup.
for second in ({"execute": "next"}, {"execute": "release", "chunk": 0}, {"execute": "release", "chunk": 2 ** 62},
               {"execute": "release"}, {"execute": "stop"}, {}, b"x"):
    for begin in (False, True):
        s = connect()
        plan = ask(s, {"execute": "backup", "buffer": 2 ** 24})
        assert plan["return"]["drives"][0]["size_bytes"] == 1000000 and plan["return"]["n_chunks"] == 4, plan
        if begin:
            assert ask(s, {"execute": "begin"})["return"]["quiesce_ns"] >= 0
        if begin and second == {"execute": "next"}:
            assert ask(s, {"execute": "begin"})["error"]["code"] == "usage"
        else:
            assert ask(s, second)["error"]["code"] == "usage", second
        s.close()
        # It goes once the server has seen that.
        while "backup" in ask(connect(), {"execute": "status"})["return"]["drives"]: time.sleep(0.01)

# What is given back twice, or never, and asked for after the end.
def free():
    while True:
        answer = ask(connect(), {"execute": "backup", "buffer": 2 ** 24})
        if "return" in answer: return
        time.sleep(0.01)
free()
s = connect()
for _ in range(200):
    answer = ask(s, {"execute": "backup", "drives": ["a"], "buffer": 2 ** 24})
    if "return" in answer: break
    time.sleep(0.05)
ask(s, {"execute": "begin"})
chunk = ask(s, {"execute": "next"})
for _ in range(50): assert "done" in ask(s, {"execute": "next"})
s.send(b'{"execute": "release", "chunk": %d}' % chunk["chunk"])
s.send(b'{"execute": "release", "chunk": %d}' % chunk["chunk"])
while True:
    answer = json.loads(s.recv(1 << 20))
    if "error" in answer: break
assert answer["error"]["code"] == "usage", answer

# More questions at once than were announced: the first waits, as half of the memory is lent out.
s.close()
for n_asked in (1, 2):
    free()
    for _ in range(200):
        s = connect()
        answer = ask(s, {"execute": "backup", "drives": ["big"], "buffer": 2 ** 24, "askers": 2})
        if "return" in answer: break
        time.sleep(0.05)
    ask(s, {"execute": "begin"})
    chunks = [ask(s, {"execute": "next"})["chunk"] for _ in range(2)]
    for _ in range(n_asked + 1): s.send(b'{"execute": "next"}')
    if n_asked == 2:
        assert json.loads(s.recv(1 << 20))["error"]["code"] == "usage"
    else:
        s.settimeout(0.5)
        try:
            assert False, s.recv(1 << 20)
        except TimeoutError:
            pass
        s.settimeout(20)
        for chunk in chunks:
            answer = ask(s, {"execute": "release", "chunk": chunk})
            assert "data" in answer, answer
    s.close()

# Descriptors that come with a message are closed.
before = len(os.listdir("/proc/%s/fd" % sys.argv[1]))
s = connect()
for _ in range(20):
    s.sendmsg([b'{"execute": "status"}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2] * 5))])
    assert "return" in json.loads(s.recv(1 << 20))
assert len(os.listdir("/proc/%s/fd" % sys.argv[1])) <= before + 2

# As many as there may be, and one too many; places come back, if not at once.
def answered(s):
    try:
        return "return" in (ask(s, {"execute": "status"}) or {})
    except OSError:
        return False
s.close()
for _ in range(600):
    many = [connect() for _ in range(40)]
    n = sum(answered(s) for s in many)
    for s in many: s.close()
    assert n <= 16, n
    if n == 16: break
    time.sleep(0.05)
assert n == 16, n
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
