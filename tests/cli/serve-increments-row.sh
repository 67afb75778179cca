# Increments of a serve in a row, while checkpoints are made and deleted by chance, the server is stopped or killed, and backups
# fail: each reads what was written since its parent, one of the archives before, and no more; the newest restores to what the
# drive held, and in the end so do others. VMABAK_INCREMENTS=N: so many; VMABAK_SEED=N: by another chance.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need_python nbd
make_random a.raw 3000001 1
"$PYTHON" - "${VMABAK_INCREMENTS:-12}" "${VMABAK_SEED:-1}" <<'END' || fail "the chain is wrong"
import json, nbd, os, random, subprocess, sys, time

CLUSTER, SIZE = 65536, 3000001
n, chance = int(sys.argv[1]), random.Random(int(sys.argv[2]))
program = os.environ["VMABAK"]

def run(code, *words):
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != code:
        sys.exit(f"{words}: {done.returncode}: {done.stderr.decode()}")
    return json.loads(done.stdout) if "--json" in words else None

def start():
    global serve, guest
    serve = subprocess.Popen([program, "serve", "--control", "c.sock", "--nbd", "unix:n.sock", "--map", "a=a.map", "a=a.raw"],
                             stdout=subprocess.DEVNULL, stderr=open("serve.err", "wb"))
    until = time.monotonic() + 300
    while subprocess.run([program, "status", "c.sock"], capture_output=True).returncode != 0:
        if serve.poll() is not None or time.monotonic() > until:
            sys.exit("serve: " + open("serve.err").read())
        time.sleep(0.02)
    guest = nbd.NBD()
    guest.connect_uri("nbd+unix:///a?socket=n.sock")

def end(kill):
    global serve
    guest.shutdown()
    if kill:
        serve.kill()
    else:
        until = time.monotonic() + 300
        while subprocess.run([program, "stop", "c.sock"], capture_output=True).returncode != 0:
            if time.monotonic() > until:
                sys.exit("serve does not stop")
            time.sleep(0.02)
    serve.wait()
    serve = None

serve = None
content = bytearray(open("a.raw", "rb").read())
names, held, since = [], [], [] # checkpoints; of each archive what the drive held, and the clusters written since

def write():
    for _ in range(chance.randrange(4)):
        length = chance.choice((512, 5000, CLUSTER, 3 * CLUSTER))
        at = chance.randrange(SIZE - length)
        data = chance.choice((bytes(length), chance.randbytes(length)))
        guest.pwrite(data, at)
        content[at:at + length] = data
        for clusters in since:
            clusters.update(range(at // CLUSTER, (at + length - 1) // CLUSTER + 1))

def name_one(i):
    if chance.random() < 0.3:
        run(0, "checkpoint", "create", f"mine{i}", "serve:c.sock")
        names.append(f"mine{i}")
    while names and chance.random() < 0.5:
        run(0, "checkpoint", "delete", names.pop(chance.randrange(len(names))), "serve:c.sock", "--force")
    listed = [c["name"] for c in run(0, "checkpoint", "list", "--json", "serve:c.sock")["checkpoints"]]
    if listed != names:
        sys.exit(f"{i}: checkpoints {listed}, not {names}")

def restored_is(i):
    run(0, "restore", "-q", "--no-sync", "--force", f"{i}.vmab", "-d", "a=back.raw")
    if open("back.raw", "rb").read() != held[i]:
        sys.exit(f"{i}.vmab is wrong")

def back_up(i):
    words = ["backup", "serve:c.sock", "--no-sync", "--compress", "none"]
    parent = i - 1 if chance.random() < 0.8 else chance.randrange(max(i, 1))
    older = ["--parent", f"{parent}.vmab"] if i > 0 else []
    if chance.random() < 0.15:
        run(1, *words, *older, "-q", "-o", "gone/none.vmab")
    said = run(0, *words, *older, "--json", "-o", f"{i}.vmab")
    if i > 0 and (said["drives"][0]["proof"]["list"], said["drives"][0]["proof"]["listed_clusters"]) != ("right", len(since[parent])):
        sys.exit(f"{i} on {parent}: {said['drives'][0]['proof']}, not {len(since[parent])}")
    names.append(run(0, "list", "--json", f"{i}.vmab")["uuid"])
    held.append(bytes(content))
    since.append(set())
    restored_is(i)

try:
    start()
    for i in range(n + 1):
        write()
        back_up(i)
        name_one(i)
        if chance.random() < 0.2:
            end(chance.random() < 0.5)
            start()
    for i in {chance.randrange(n + 1) for _ in range(min(n, 20))}:
        restored_is(i)
    end(False)
finally:
    if serve is not None:
        serve.kill()
END
