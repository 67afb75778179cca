# Increments of a tracked QEMU in a row, pushed and pulled, while the program and QEMU are killed at moments of chance, QEMU is
# stopped, checkpoints are made and deleted, and backups fail: each reads what was written since its parent, one of the archives
# before, and no more, or compares if QEMU was killed since; each restores to what the drives held. VMABAK_INCREMENTS=N: so
# many; VMABAK_SEED=N: by another chance; VMABAK_KILLED=qemu: QEMU is killed before each of them, and nothing else.
# long: fifty kills of the program, and some of QEMU
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-storage-daemon
need_python nbd
make_random a.raw 1048576 1
make_random b.raw 1048576 2
qemu-img convert -f raw -O qcow2 b.raw b.qcow2
mkdir scratch
"$PYTHON" - "${VMABAK_INCREMENTS:-14}" "${VMABAK_SEED:-1}" "${VMABAK_KILLED:-}" <<'END' || fail "the chain is wrong"
import glob, json, nbd, os, random, signal, socket, subprocess, sys, time

CLUSTER, SIZE = 65536, 1048576
LAST = SIZE // CLUSTER - 1 # which QEMU's bitmaps have from their beginning
n, chance, killed_only = int(sys.argv[1]), random.Random(int(sys.argv[2])), sys.argv[3] == "qemu"
program, folder = os.environ["VMABAK"], os.environ["TMPDIR"]
qmp, asking, exports = (f"{folder}/row.{kind}" for kind in ("qmp", "ask", "nbd"))

def until(true, what):
    end = time.monotonic() + 300
    while not true():
        if time.monotonic() > end:
            sys.exit(f"not within 300 s: {what}")
        time.sleep(0.01)

def run(codes, *words):
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in codes:
        sys.exit(f"{words}: {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout) if "--json" in words else None

def start():
    global qemu, guests
    for path in qmp, asking, exports:
        if os.path.exists(path):
            os.unlink(path)
    words = ["qemu-storage-daemon", "--nbd-server", f"addr.type=unix,addr.path={exports}",
             "--blockdev", "driver=file,filename=a.raw,node-name=file", "--blockdev", "driver=raw,file=file,node-name=A",
             "--blockdev", "driver=qcow2,file.driver=file,file.filename=b.qcow2,node-name=B"]
    for path, name in (qmp, "q"), (asking, "k"):
        words += ["--chardev", f"socket,path={path},server=on,wait=off,id={name}", "--monitor", f"chardev={name},id=m{name}"]
    for name in "AB":
        words += ["--export", f"type=nbd,id={name},node-name={name},name={name},writable=on"]
    qemu = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=open("qemu.err", "wb"))
    until(lambda: os.path.exists(exports) and os.path.exists(asking), "QEMU")
    guests = []
    for name in "AB":
        guest = nbd.NBD()
        guest.connect_uri(f"nbd+unix:///{name}?socket=" + exports.replace(" ", "%20"))
        guests.append(guest)

def end(how):
    global qemu
    if how == signal.SIGTERM:
        for guest in guests:
            guest.shutdown()
    qemu.send_signal(how)
    qemu.wait()
    guests.clear()
    qemu = None

qemu, guests, n_kills, n_qemu_kills = None, [], 0, 0
contents = [bytearray(open(name, "rb").read()) for name in ("a.raw", "b.raw")]
names, held, since, lost = [], [], [], [0, 0] # lost: of each drive, the first archive that counts since its tracker was lost

def write(most):
    for _ in range(chance.randrange(most)):
        drive = chance.randrange(2)
        length = chance.choice((512, 5120, CLUSTER, 3 * CLUSTER))
        at = chance.randrange((SIZE - length) // 512) * 512
        data = chance.choice((bytes(length), chance.randbytes(length)))
        guests[drive].pwrite(data, at)
        contents[drive][at:at + length] = data
        for clusters in since:
            clusters[drive].update(range(at // CLUSTER, (at + length - 1) // CLUSTER + 1))
    for guest in guests:
        guest.flush()

# Of the program: its guard, and what it had forked and is called as itself yet.
def children():
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            words = open(path, "rb").read()
        except OSError:
            continue
        if b"vmabak" in os.path.basename(words.split(b"\0")[0]) and f"qemu:{qmp}".encode() in words:
            return True
    return False

def words_of(parent, archive):
    words = ["backup", f"qemu:{qmp}", "--track", "--state", "state", "--no-sync", "--compress", "none", "-o", archive]
    if parent is not None:
        words += ["--parent", f"{parent}.vmab"]
    if chance.random() < 0.4:
        words += ["--pull", "--nbd-server", exports, "--scratch", f"{os.getcwd()}/scratch"]
    return words

took = 0.1
# At some moment of it; QEMU instead of the program: what it recorded is lost.
def killed(parent, victim):
    global n_kills, n_qemu_kills
    process = subprocess.Popen([program, *words_of(parent, "killed.vmab")], stdout=subprocess.DEVNULL, stderr=open("killed.err", "wb"))
    time.sleep(chance.random() * took)
    if victim == "qemu":
        end(signal.SIGKILL)
        process.wait()
        n_qemu_kills += 1
    else:
        process.kill()
        process.wait()
        n_kills += 1
    until(lambda: not children(), "the end of the guard")
    if os.path.exists("killed.vmab"): # too late
        names.append(run((0,), "list", "--json", "killed.vmab")["uuid"])
    for path in glob.glob("killed.vmab*") + glob.glob(".killed*"):
        os.unlink(path)
    if victim == "qemu":
        lost[:] = [len(held), len(held)]
        start()

def restored_is(i):
    run((0,), "restore", "-q", "--no-sync", "--force", f"{i}.vmab", "-d", "A=back.A", "-d", "B=back.B")
    for drive, name in enumerate("AB"):
        if open(f"back.{name}", "rb").read() != held[i][drive]:
            sys.exit(f"{i}.vmab: drive {name} is wrong")

def back_up(i, parent):
    global took
    begin = time.monotonic()
    said = run((0, 3), *words_of(parent, f"{i}.vmab"), "--json")
    took = time.monotonic() - begin
    for drive, one in enumerate(said["drives"]):
        proof = one["proof"]
        if parent is None:
            continue
        if parent < lost[drive]:
            expected = None
        else:
            expected = ("right", len(since[parent][drive] | {LAST}))
        if (proof and (proof["list"], proof["listed_clusters"])) != expected:
            sys.exit(f"{i} on {parent}: drive {'AB'[drive]}: {proof}, not {expected}, lost {lost}")
    names.append(run((0,), "list", "--json", f"{i}.vmab")["uuid"])
    held.append([bytes(content) for content in contents])
    since.append([set(), set()])
    restored_is(i)

def change_names(i):
    if chance.random() < 0.2:
        run((0, 3), "checkpoint", "create", f"mine{i}", f"qemu:{qmp}", "--state", "state")
        names.append(f"mine{i}")
    listed = [c["name"] for c in run((0,), "checkpoint", "list", "--json", f"qemu:{qmp}", "--state", "state")["checkpoints"]]
    if not set(listed) <= set(names):
        sys.exit(f"{i}: checkpoints {listed}, of {names}")
    while listed and chance.random() < 0.4:
        run((0,), "checkpoint", "delete", listed.pop(chance.randrange(len(listed))), f"qemu:{qmp}", "--state", "state", "--force")

try:
    start()
    for i in range(n + 1):
        write(5)
        parent = None if i % 12 == 0 else i - 1 if chance.random() < 0.8 else chance.randrange(i - i % 12, i)
        for _ in range(0 if killed_only else chance.choice((2, 3, 4, 5) if n < 50 else (0, 0, 1, 1))):
            killed(parent, "program")
            write(2)
        what = 0 if killed_only else chance.random()
        if what < (0.35 if n < 50 else 0.2):
            killed(parent, "qemu")
        elif what < 0.45:
            end(signal.SIGTERM)
            lost[0] = len(held)
            start()
        elif what < 0.6:
            run((1,), *words_of(parent, "gone/none.vmab"))
        back_up(i, parent)
        change_names(i)
    print(f"{n_kills} kills, {n_qemu_kills} of QEMU", file=sys.stderr)
    end(signal.SIGTERM)
finally:
    if qemu is not None:
        qemu.kill()
END
