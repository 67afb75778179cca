#!/usr/bin/python3
"""What many drives cost: a backup of N small drives beside that of one drive with the same data.

    drives.py [--peers daemon,machine,serve,images] [--ways push,pull,server] VMABAK

Peers: daemon is a qemu-storage-daemon, machine a QEMU with SCSI disks that does not run, serve is
vmabak serve, of 64 drives at most, images is neither. Ways, of the first two: push; pull, from an NBD server that runs already;
server, a pull that starts one (for daemon, that ends its exports: so it is for machine only).

Rounds are interleaved: many, one, many, one. Medians are told, their difference, and the processor time of vmabak
and of the peer, which depends less on what else the machine does. The bar is $BAR seconds of difference: above it the
exit code is 1.
$DRIVES (100), $DRIVE_MIB (64), $DATA_MIB (1, in each drive), $ROUNDS (5) and $BAR (2) may be other numbers.
Works in $BENCH_DIR (default: /var/tmp), which takes twice the data."""
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

N = int(os.environ.get("DRIVES", 100))
MIB = 1 << 20
SIZE = int(os.environ.get("DRIVE_MIB", 64)) * MIB
DATA = int(os.environ.get("DATA_MIB", 1)) * MIB
ROUNDS = int(os.environ.get("ROUNDS", 5))
BAR = float(os.environ.get("BAR", 2))
TICK = os.sysconf("SC_CLK_TCK")
running = {}


def make_images():
    """many0.raw and so on, and one.raw, which is all of them behind each other."""
    with open("one.raw", "wb") as one:
        one.truncate(N * SIZE)
        for i in range(N):
            data = os.urandom(DATA)
            with open(f"many{i}.raw", "wb") as many:
                many.write(data)
                many.truncate(SIZE)
            one.seek(i * SIZE)
            one.write(data)


def images(kind):
    return ["one.raw"] if kind == "one" else [f"many{i}.raw" for i in range(N)]


def start(kind, command):
    with open(f"{kind}.log", "w") as log:
        running[kind] = subprocess.Popen(command, stdout=log, stderr=log)


def peer_seconds(kind):
    if kind not in running:
        return 0
    with open(f"/proc/{running[kind].pid}/stat") as stat:
        return sum(map(int, stat.read().rpartition(")")[2].split()[11:13])) / TICK


def wait_for(kind, path, type_of_socket=socket.SOCK_STREAM):
    until = time.monotonic() + 60
    while True:
        try:
            with socket.socket(socket.AF_UNIX, type_of_socket) as peer:
                peer.connect(path)
                return
        except OSError:
            if time.monotonic() > until or running[kind].poll() is not None:
                sys.exit(f"drives: {path}: " + open(f"{kind}.log").read())
            time.sleep(0.05)


def start_daemon(kind):
    command = ["qemu-storage-daemon",
               "--chardev", f"socket,path={kind}.qmp,server=on,wait=off,id=c", "--monitor", "chardev=c",
               "--nbd-server", f"addr.type=unix,addr.path={kind}.nbd,max-connections=0"]
    for i, path in enumerate(images(kind)):
        command += ["--blockdev", f"driver=file,filename={path},node-name=f{i}",
                    "--blockdev", f"driver=raw,file=f{i},node-name=d{i}",
                    "--export", f"type=nbd,id=d{i},node-name=d{i},name=d{i},writable=on"]
    start(kind, command)
    wait_for(kind, f"{kind}.nbd")


def start_machine(kind):
    command = ["qemu-system-x86_64", "-S", "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none",
               "-qmp", f"unix:{kind}.qmp,server=on,wait=off", "-device", "virtio-scsi-pci"]
    for i, path in enumerate(images(kind)):
        command += ["-blockdev", f"driver=file,filename={path},node-name=f{i}",
                    "-blockdev", f"driver=raw,file=f{i},node-name=d{i}",
                    "-device", f"scsi-hd,drive=d{i},id=disk{i}"]
    start(kind, command)
    wait_for(kind, f"{kind}.qmp")
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(f"{kind}.qmp")
        lines = peer.makefile("rw")
        lines.readline()
        for command, arguments in (("qmp_capabilities", {}), ("nbd-server-start", {
                "addr": {"type": "unix", "data": {"path": os.path.realpath(f"{kind}.nbd")}}, "max-connections": 0})):
            print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
            answer = json.loads(lines.readline())
            if "error" in answer:
                sys.exit(f"drives: {command}: {answer['error']['desc']}")
        lines.close()


def start_serve(kind):
    start(kind, [VMABAK, "serve", "--control", f"{kind}.ctl", "--nbd", f"unix:{kind}.nbd"] +
          [f"d{i}={path}" for i, path in enumerate(images(kind))])
    wait_for(kind, f"{kind}.ctl", socket.SOCK_SEQPACKET)


def source(peer, way, kind):
    if peer == "images":
        return [f"d{i}={path}" for i, path in enumerate(images(kind))]
    if peer == "serve":
        return [f"serve:{kind}.ctl"]
    options = {"push": [], "pull": ["--pull", "--scratch", os.getcwd(), "--nbd-server", f"{kind}.nbd"],
               "server": ["--pull", "--scratch", os.getcwd()]}
    return [f"qemu:{kind}.qmp", *options[way]]


def own_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def backup(peer, way, kind):
    """Seconds, and those of the processor in vmabak and its peer."""
    command = [VMABAK, "backup", "-q", "--no-sync", "--force", "-o", f"{kind}.vmab", *source(peer, way, kind)]
    begin = time.monotonic(), own_seconds(), peer_seconds(kind)
    subprocess.run(command, check=True)
    return [after - before for before, after in zip(begin, (time.monotonic(), own_seconds(), peer_seconds(kind)))]


def next_data(image, at):
    try:
        return os.lseek(image, at, os.SEEK_DATA)
    except OSError:
        return 1 << 62


def same(path, other):
    """Two sparse files, a MiB at a time."""
    a, b = os.open(path, os.O_RDONLY), os.open(other, os.O_RDONLY)
    at, equal = 0, os.fstat(a).st_size == os.fstat(b).st_size
    while equal and (at := min(next_data(a, at), next_data(b, at))) < 1 << 62:
        equal = os.pread(a, MIB, at) == os.pread(b, MIB, at)
        at += MIB
    os.close(a)
    os.close(b)
    return equal


def check(kind):
    """What was saved last is right."""
    shutil.rmtree("out", ignore_errors=True)
    subprocess.run([VMABAK, "restore", "-q", "--no-sync", f"{kind}.vmab", "-C", "out"], check=True)
    restored = sorted((name for name in os.listdir("out") if name.endswith(".raw")),
                      key=lambda name: int("".join(c for c in name if c.isdigit())))
    for path, found in zip(images(kind), restored, strict=True):
        if not same(path, f"out/{found}"):
            sys.exit(f"drives: {found} differs from {path}")


def measure(peer, way):
    times = {"many": [], "one": []}
    for i in range(-1, ROUNDS):  # the first warms up
        for kind in times:
            found = backup(peer, way, kind)
            if i >= 0:
                times[kind].append(found)
    for kind in times:
        check(kind)
    medians = {kind: [statistics.median(column) for column in zip(*times[kind])] for kind in times}
    difference = medians["many"][0] - medians["one"][0]
    spans = {kind: f"{medians[kind][0]:.2f} ({min(times[kind])[0]:.2f} to {max(times[kind])[0]:.2f})" for kind in times}
    used = {kind: "{:.2f} + {:.2f}".format(*medians[kind][1:]) for kind in times}
    print(f"| {peer} {way} | {spans['many']} | {spans['one']} | {difference:.2f} | {used['many']} | {used['one']} |",
          flush=True)
    return difference <= BAR


def stop():
    while running:
        child = running.popitem()[1]
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def run(peers, ways):
    good = True
    starters = {"daemon": start_daemon, "machine": start_machine, "serve": start_serve, "images": lambda kind: None}
    print(f"{N} drives of {SIZE // MIB} MiB with {DATA // MIB} MiB of data each, beside one; seconds, median of {ROUNDS}\n")
    print(f"| | {N} drives (least to most) | one drive | difference | processor, {N}: vmabak + peer | one |\n|---|---|---|---|---|---|")
    for peer in peers:
        for kind in "many", "one":
            starters[peer](kind)
        for way in ways if peer in ("daemon", "machine") else ["backup"]:
            if way != "server" or peer == "machine":
                good = measure(peer, way) and good
        stop()
    return good


def main():
    global VMABAK
    peers, ways, rest = ["daemon", "machine", "serve", "images"], ["push", "pull"], sys.argv[1:]
    while rest and rest[0] in ("--peers", "--ways"):
        if rest[0] == "--peers":
            peers = rest[1].split(",")
        else:
            ways = rest[1].split(",")
        rest = rest[2:]
    if len(rest) != 1:
        sys.exit("\n".join(__doc__.splitlines()[:3]))
    VMABAK = os.path.realpath(rest[0])
    with tempfile.TemporaryDirectory(prefix="vmabak-drives.", dir=os.environ.get("BENCH_DIR", "/var/tmp")) as place:
        os.chdir(place)
        try:
            make_images()
            good = run(peers, ways)
        finally:
            stop()
            os.chdir("/")
    sys.exit(0 if good else f"drives: more than {BAR:g} s of difference")


main()
