# An export that is killed under a QEMU that uses it, and started again: QEMU connects anew, no read is wrong, and nothing that
# was written is lost, flushed or not.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need qemu-io

make_random a.raw 4194304 4
"$VMABAK" backup -q -o a.vmab root=a.raw
sha256sum a.vmab >sums
cat >guest.py <<'END'
import os, random, signal, subprocess, sys, time
rng = random.Random(6)
model = bytearray(open("a.raw", "rb").read())
node = "driver=nbd,server.type=unix,server.path=n.sock,export=root,reconnect-delay=300"

def start():
    return subprocess.Popen([sys.argv[1], "export", "-q", "--overlay", "o", "a.vmab", "--nbd", "unix:n.sock"])

def ask(line):
    qemu.stdin.write(line + "\n")
    qemu.stdin.flush()
    said = []
    while True: # each command says how much it did in how many operations
        said.append(qemu.stdout.readline())
        if not said[-1]:
            sys.exit("qemu-io ended: " + "".join(said))
        if "ops;" in said[-1] or "failed" in said[-1]:
            break
    if "failed" in "".join(said).lower():
        sys.exit(line + ": " + "".join(said))

def check(cluster):
    at = cluster * 65536
    for block in range(at, at + 65536, 4096):
        if model[block] == model[block + 1] == model[block + 4095]:
            ask("read -P %d %d 4096" % (model[block], block))

export = start()
while not os.path.exists("n.sock"):
    time.sleep(0.05)
qemu = subprocess.Popen(["qemu-io", "-t", "writeback", "--image-opts", node], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                        text=True)
try:
    for n in range(120):
        block = rng.randrange(len(model) // 4096) * 4096
        ask("write -P %d %d 4096" % (n + 1, block))
        model[block:block + 4096] = bytes([n + 1]) * 4096
        if n % 40 == 25: # without a flush; QEMU finds out with its next request, or is in the midst of one
            export.send_signal(signal.SIGKILL)
            export.wait()
            os.unlink("n.sock")
            export = start()
        for cluster in {block // 65536, rng.randrange(len(model) // 65536)}:
            check(cluster)
    for cluster in range(len(model) // 65536):
        check(cluster)
    export.send_signal(signal.SIGKILL)
    export.wait()
    os.unlink("n.sock")
finally:
    qemu.kill()
    export.kill()
open("model", "wb").write(model)
END
"$PYTHON" guest.py "$VMABAK" || fail "the guest failed"
start_export --overlay o a.vmab
nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
cmp model out.raw || fail "something that was written is lost"
stop_export
sha256sum -c --quiet sums || fail "the archive was changed"
