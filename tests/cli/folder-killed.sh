# backup --to and prune that are killed at any moment: what was kept restores, no archive that is there is not whole, and
# the next runs put right what was left.
# alone: kills at moments that it measures
. "$(dirname "$0")/lib.sh"

case $(stat -f -c %T .) in
ext* | xfs | btrfs | tmpfs | overlayfs | f2fs | zfs) ;;
*) skip 'locks of this file system may not count elsewhere' ;;
esac
mkdir d
"$PYTHON" - "$VMABAK" "${VMABAK_SEED:-1}" <<'END' || fail 'see above'
import hashlib, json, os, random, signal, subprocess, sys, time

vmabak, rng = sys.argv[1], random.Random(int(sys.argv[2]))
drive = bytearray(rng.randbytes(400000))
states = {}     # what the drive was, by the archives that are known to be done
BACKUP = ["backup", "--json", "--to", "d", "--name", "web", "--full-every", "4", "root=web.raw"]
PRUNE = ["prune", "-q", "d", "--keep-last", "3"]
MERGE = PRUNE + ["--merge"]


def run(command, codes=(0,)):
    done = subprocess.run([vmabak, *command], capture_output=True, check=False)
    assert done.returncode in codes, (command, done.returncode, done.stderr)
    return done.stdout


def change():
    at = rng.randrange(len(drive) - 8)
    drive[at:at + 8] = rng.randbytes(8)
    with open("web.raw", "wb") as file:
        file.write(drive)


def killed(command, seconds):
    process = subprocess.Popen([vmabak, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(rng.uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def archives():
    return json.loads(run(["list", "--json", "d"]))["machines"][0]["archives"]


def check(name, wanted=None):
    run(["restore", "-q", "--force", "d/" + name, "-C", "back"])
    with open("back/root.raw", "rb") as file:
        found = hashlib.sha256(file.read()).digest()
    assert found in states.values() if wanted is None else found == wanted, name


change()
states[-1] = hashlib.sha256(drive).digest()
begin = time.monotonic()
run(BACKUP)
seconds = time.monotonic() - begin
n_killed = n_new = 0
for turn in range(25):
    change()
    states[turn] = hashlib.sha256(drive).digest()
    before = {one["archive"] for one in archives()}
    n_killed += killed(BACKUP, seconds)
    now = archives()                            # exits with 4 if one is not whole
    n_new += len({one["archive"] for one in now} - before)
    assert before <= {one["archive"] for one in now}
    if rng.random() < 0.7:
        kept = [one["archive"] for one in now][-3:]
        n_killed += killed(rng.choice((PRUNE, MERGE)), seconds / 2)
        left = [one["archive"] for one in archives()]
        assert set(kept) <= set(left), (kept, left)
        for name in kept:
            check(name)
    if rng.random() < 0.5:
        name = json.loads(run(BACKUP))["archive"][2:]
        check(name, states[turn])
run(BACKUP)
run(PRUNE)
left = archives()
assert 3 <= len(left) <= 6, left
for one in left:
    check(one["archive"])
assert all(one["sums"] for one in left[-1:]), left
leftovers = [name for name in os.listdir("d") if name.startswith(".")]
assert not leftovers, leftovers
assert n_killed > 10, n_killed
print(f"{n_killed} killed, {n_new} of them too late")
END
