# An export of a full archive and an increment that is killed VMABAK_KILLS times (5) under a QEMU with three readers, and started again:
# each read of each of them ends well and is right.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need qemu-storage-daemon
need_python nbd

make_random a.raw 16777216 4
"$VMABAK" backup -q -o a.vmab root=a.raw
put a.raw 3000000 changed
truncate -s 20M a.raw
"$VMABAK" backup -q --parent a.vmab -o b.vmab root=a.raw
cat >readers.py <<'END'
import nbd, os, random, signal, subprocess, sys, threading, time
program, kills = sys.argv[1], int(sys.argv[2])
truth = open("a.raw", "rb").read()
rng = random.Random(int(sys.argv[3]))
n_right, wrong, over = [0, 0, 0], [], False

def start():
    return subprocess.Popen([program, "export", "-q", "b.vmab", "--nbd", "unix:n.sock"])

def until(what, condition):
    end = time.monotonic() + 120
    while not condition():
        if time.monotonic() > end or wrong:
            sys.exit(f"{what}: {wrong[:3]}")
        time.sleep(0.01)

def read(i):
    reads = random.Random(i)
    handle = nbd.NBD()
    handle.connect_uri("nbd+unix:///root?socket=q.sock")
    try:
        while not over:
            n = reads.choice([512, 4096, 65536, 300032])
            at = reads.randrange((len(truth) - n) // 512) * 512
            if bytes(handle.pread(n, at)) != truth[at:at + n]:
                wrong.append(f"{n} bytes at {at} are wrong")
            n_right[i] += 1
    except nbd.Error as error:
        wrong.append(f"{n} bytes at {at}: {error}")

export = start()
until("no export", lambda: os.path.exists("n.sock"))
qemu = subprocess.Popen(["qemu-storage-daemon", "--pidfile", "pid", "--nbd-server", "addr.type=unix,addr.path=q.sock", "--blockdev",
    "driver=nbd,node-name=l,server.type=unix,server.path=n.sock,export=root,read-only=on,reconnect-delay=1000",
    "--export", "type=nbd,id=e,node-name=l,name=root"])
readers = [threading.Thread(target=read, args=(i,)) for i in range(3)]
try:
    until("no QEMU", lambda: os.path.exists("pid"))
    for reader in readers:
        reader.start()
    for n in range(kills + 1):
        before = list(n_right)
        until("reads", lambda: all(now > then for now, then in zip(n_right, before)))
        if n < kills:
            time.sleep(rng.random() * 0.1)
            export.send_signal(signal.SIGKILL)
            export.wait()
            time.sleep(rng.random() * 0.1)
            export = start()
    over = True
    for reader in readers:
        reader.join()
finally:
    over = True
    qemu.kill()
    export.kill()
print(f"{kills} kills, {sum(n_right)} reads")
sys.exit("; ".join(wrong[:3]) or None)
END
"$PYTHON" readers.py "$VMABAK" "${VMABAK_KILLS:-5}" "${VMABAK_SEED:-1}" || fail "the readers"
