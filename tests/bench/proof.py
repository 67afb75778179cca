#!/usr/bin/python3
"""usage: proof.py VMABAK [RUNS]

How often each rule of the proof finds a change list that lies. Each case is a drive, its archive and a list that leaves out
some of what was written since; increments are made by that list with another random uuid each time, and the rule that
finds the lie is counted: the cheap ones come first, so a rule is only asked when those before it found nothing. What the
first increment misses is followed in a chain until it is found. Needs QEMU's tools and nbdinfo for five of the cases. Prints a table."""
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid

CLUSTER = 65536
RULES = ("holes", "neighbours", "samples", "audit")
VMABAK = os.path.realpath(sys.argv[1])
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 100


def run(*command, good=(0,)):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in good:
        sys.exit(f"proof: {' '.join(command)}: {done.stderr}")
    return done


def write_list(name, size, clusters):
    runs = [f"{cluster * CLUSTER} {min(CLUSTER, size - cluster * CLUSTER)}" for cluster in clusters]
    with open(name, "w", encoding="ascii") as file:
        file.write("\n".join(["# vmabak changes 1", f"# size {size}", *runs, f"# end {len(runs)}", ""]))


class Case:
    """A raw drive of so many clusters, of which some are written and only some of these listed."""

    def __init__(self, name, n_clusters, written, listed=()):
        self.name, self.drive, self.size = name, "drive.raw", n_clusters * CLUSTER
        self.n_wrong, self.of = len(set(written) - set(listed)), n_clusters
        chance = random.Random(name)
        with open(self.drive, "wb") as file:
            for _ in range(n_clusters):
                file.write(chance.randbytes(CLUSTER))
        self.archive()
        with open(self.drive, "rb+") as file:
            for cluster in written:
                file.seek(cluster * CLUSTER + 1000)
                file.write(b"written")
        write_list("list", self.size, listed)

    def archive(self):
        run(VMABAK, "backup", "-q", "--force", "-o", "0.vmab", f"drive={self.drive}")


class Shrunk(Case):
    """A qcow2 image that was shrunk and grown again: its bitmap is clean where there are zeros now."""

    def __init__(self, name, n_clusters):
        super().__init__(name, n_clusters, range(n_clusters // 2, n_clusters))
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.drive, "drive.qcow2")
        self.drive = "drive.qcow2"
        self.archive()
        run("qemu-img", "resize", "-q", "--shrink", self.drive, str(self.size // 2))
        run("qemu-img", "resize", "-q", self.drive, str(self.size))


class Rebased(Case):
    """A qcow2 image that got another backing file by rebase -u."""

    def __init__(self, name, n_clusters, written):
        super().__init__(name, n_clusters, written)
        base, self.drive = self.drive, "over.qcow2"
        run("cp", base, "other.raw")
        with open("other.raw", "rb+") as file:
            for cluster in written:
                file.seek(cluster * CLUSTER + 2000)
                file.write(b"other")
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, self.drive)
        self.archive()
        run("qemu-img", "rebase", "-u", "-F", "raw", "-b", "other.raw", self.drive)


class OtherNode(Case):
    """An overlay that QEMU exports with the bitmap of its base, which is half as large."""

    def __init__(self, name, n_clusters, written):
        super().__init__(name, n_clusters // 2, ())
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.drive, "base.qcow2")
        run("qemu-img", "bitmap", "--add", "base.qcow2", "cp")
        self.drive, self.of, self.n_wrong = "over.qcow2", n_clusters, len(written)
        run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", self.drive, str(n_clusters * CLUSTER))
        self.archive()
        folder = os.getcwd()
        run("qemu-storage-daemon", "--daemonize", "--pidfile", f"{folder}/pid", "--nbd-server", f"addr.type=unix,addr.path={folder}/nbd",
            "--blockdev", "driver=file,filename=base.qcow2,node-name=f", "--blockdev", "driver=qcow2,file=f,node-name=base",
            "--blockdev", "driver=file,filename=over.qcow2,node-name=g", "--blockdev", "driver=qcow2,file=g,node-name=over,backing=base",
            "--export", '{"type":"nbd","id":"e","node-name":"over","name":"x","writable":true,"bitmaps":[{"node":"base","name":"cp"}]}')
        uri = f"nbd+unix:///x?socket={folder}/nbd"
        run("qemu-io", "-f", "raw", *(word for cluster in written for word in ("-c", f"write -q -P 7 {cluster * CLUSTER} 64k")), "-c", "flush", uri)
        with open("list", "w", encoding="ascii") as file:
            file.write(run("nbdinfo", "--map=qemu:dirty-bitmap:cp", "--json", uri).stdout)
        with open("pid", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGTERM)
        while os.path.exists("pid"):
            time.sleep(0.05)


class NotMerged(Case):
    """A bitmap that qemu-img makes, and then cannot merge the other one into."""

    def __init__(self, name, n_clusters, written):
        super().__init__(name, n_clusters, ())
        run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.drive, "drive.qcow2")
        run("qemu-img", "create", "-q", "-f", "qcow2", "small.qcow2", "1M")
        run("qemu-img", "bitmap", "--add", "small.qcow2", "cp")
        self.drive, self.n_wrong = "drive.qcow2", len(written)
        self.archive()
        run("qemu-io", "-f", "qcow2", *(word for cluster in written for word in ("-c", f"write -q -P 7 {cluster * CLUSTER} 64k")), self.drive)
        run("qemu-img", "bitmap", "--add", "--merge", "cp", "-b", "small.qcow2", "-F", "qcow2", self.drive, "new", good=(1,))
        with open("list", "w", encoding="ascii") as file:
            file.write(run("nbdinfo", "--map=qemu:dirty-bitmap:new", "--json", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", "-B", "new",
                           self.drive, "]").stdout)


class InUse(Case):
    """An ext4 in use; the list begins at a later checkpoint than the parent."""

    def __init__(self, name):
        self.name, self.drive = name, "fs.raw"
        os.mkdir("files")
        with open("files/first", "wb") as file:
            chance = random.Random(1)
            for _ in range(400):
                file.write(chance.randbytes(1 << 20))
        run("truncate", "-s", "512M", self.drive)
        run("mkfs.ext4", "-q", "-F", "-d", "files", self.drive)
        self.size = 512 << 20
        self.archive()
        states = [self.clusters()]
        for n in (1, 2):
            with open("new", "wb") as file:
                file.write(random.Random(n).randbytes(3 << 20))
            run("debugfs", "-w", "-R", f"write new new{n}", self.drive)
            states.append(self.clusters())
        later = [i for i, (a, b) in enumerate(zip(states[1], states[2])) if a != b]
        all_of = [i for i, (a, b) in enumerate(zip(states[0], states[2])) if a != b]
        self.n_wrong, self.of = len(set(all_of) - set(later)), len(states[0])
        write_list("list", self.size, later)

    def clusters(self):
        with open(self.drive, "rb") as file:
            return [hash(file.read(CLUSTER)) for _ in range(self.size // CLUSTER)]


def increment(case, parent, name):
    """The rule that found the list wrong, or None."""
    done = run(VMABAK, "backup", "-q", "--strict", "--since-unchecked", "--force", "--no-sync", "--uuid", str(uuid.uuid4()),
               "--parent", parent, "--changed", "drive=list", "-o", name, f"drive={case.drive}", good=(0, 4))
    found = re.search(r"found by: (\w+)", done.stderr)
    return found and found.group(1)


def follow(case):
    """How many increments of a chain it takes."""
    n, parent = 1, "0.vmab"
    while increment(case, parent, f"next{n}.vmab") is None:
        parent, n = f"next{n}.vmab", n + 1
    return n


def tell(case):
    counts = dict.fromkeys((*RULES, None), 0)
    for _ in range(RUNS):
        counts[increment(case, "0.vmab", "1.vmab")] += 1
    run(VMABAK, "sums", "-q", "--force", "0.vmab")
    most = max(follow(case) for _ in range(max(1, RUNS // 10))) if counts[None] else 1
    share = [f"{counts[rule] / RUNS:.2f}" if counts[rule] else "" for rule in (*RULES, None)]
    print(f"| {case.name} | {case.n_wrong} of {case.of} | {' | '.join(share)} | {most} |", flush=True)


CASES = (
    lambda: Shrunk("shrunk and grown qcow2", 1024),
    lambda: Rebased("rebase -u", 1024, (100, 500, 900)),
    lambda: OtherNode("the bitmap of another node", 1024, (100, 300, 500)),
    lambda: OtherNode("the same, written past that node's end", 1024, (100, 300, 900)),
    lambda: NotMerged("a bitmap that was not merged", 1024, (100, 500, 900)),
    lambda: Case("a reflink's extents without sync", 1024, (33, 444, 555)),
    lambda: InUse("since a later checkpoint (ext4 in use)"),
    lambda: Case("empty by mistake", 8192, random.Random(5).sample(range(8192), 662)),
    lambda: Case("each run a cluster short", 8192, [i for i in range(0, 8192, 400) for i in (i, i + 1)], range(0, 8192, 400)),
    lambda: Case("a single cluster", 8192, (4321,)),
)

print("| list | wrong clusters | holes | neighbours | samples | audit | not in the first increment | at the latest in |")
print("|---|---|---|---|---|---|---|---|")
for make in CASES:
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        tell(make())
        os.chdir("/")
