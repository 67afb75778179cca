#!/usr/bin/python3
"""Mirrors of a serve or of a QEMU: against nbdcopy, restarted, beside a guest's writes, and how long a pivot holds the guest.

    tests/bench/mirror.py VMABAK [serve|qemu [GIB [ROUNDS [DATA]]]]

In rounds, each way once a round, none: pivots alone; medians of the ratios within rounds. DATA: so many GiB of the drive, in 64 places, hold random data,
and the rest is holes; 1 % is of that. What a mirror made is compared with its source. A QEMU is a qemu-storage-daemon."""

import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import nbd

VMABAK = os.path.realpath(sys.argv[1])
KIND = sys.argv[2] if len(sys.argv) > 2 else "serve"
GIB = float(sys.argv[3]) if len(sys.argv) > 3 else 4
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
DATA = float(sys.argv[5]) if len(sys.argv) > 5 else GIB
SIZE = int(GIB * 1024) << 20
CLUSTER = 65536
PARTS = 64  # places that hold data, evenly spread
PART = int(DATA * 1024 / PARTS) << 20
URI = "nbd+unix:///{}?socket=n.sock"
SERVERS = {
    "serve": [VMABAK, "serve", "-q", "--control", "c.sock", "--nbd", "unix:n.sock", "--map", "a=a.map", "--map", "b=b.map",
              "a=a.raw", "b=b.raw"],
    "qemu": ["qemu-storage-daemon", "--chardev", "socket,path=c.sock,server=on,wait=off,id=c", "--monitor", "chardev=c,id=m",
             "--nbd-server", "addr.type=unix,addr.path=n.sock"] +
            [word for name in "ab" for word in
             ("--blockdev", "driver=file,filename={0}/%s.raw,node-name=%s,discard=unmap" % (name, name),
              "--export", "type=nbd,id=%s,node-name=%s,name=%s,writable=on" % (name, name, name))],
}


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def mirror(action, *words):
    more = ["--nbd-server", "n.sock"] if (KIND, action) == ("qemu", "start") else []
    text = run(VMABAK, "mirror", action, KIND + ":c.sock", "--json", "-q", *more, *words)
    return json.loads(text)


def names():
    """Of the drives: those of a daemon are called as their nodes."""
    if KIND == "serve":
        return "a", "b"
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect("c.sock")
        lines = monitor.makefile("rw")
        lines.readline()
        for command in "qmp_capabilities", "query-block-exports":
            print(json.dumps({"execute": command}), file=lines, flush=True)
            answer = json.loads(lines.readline())
    return [e["node-name"] for e in sorted(answer["return"], key=lambda e: e["id"])]


def in_sync():
    while True:
        drives = mirror("status")["mirror"]["drives"]
        assert all(d["state"] != "failed" for d in drives), drives
        if all(d["state"] == "in sync" and d["left_bytes"] == 0 for d in drives):
            return
        time.sleep(0.02)


def seconds(what):
    began = time.monotonic()
    what()
    return time.monotonic() - began


def remove(*names):
    for name in names:
        if os.path.exists(name):
            os.remove(name)


def full():
    remove("t.raw", "s.json")
    mirror("start", "-d", "a=" + os.path.realpath("t.raw"), "--state", "s.json")
    in_sync()


def again():
    mirror("start", "-d", "a=" + os.path.realpath("t.raw"), "--state", "s.json")
    in_sync()


def by_nbdcopy(*options):
    remove("n.raw")
    run("truncate", "-s", str(SIZE), "n.raw")
    run("nbdcopy", *options, URI.format("a"), "n.raw")


def connect(name):
    handle = nbd.NBD()
    handle.connect_uri(URI.format(name))
    return handle


def place(grain):
    return random.randrange(PARTS) * (SIZE // PARTS) + random.randrange(PART // grain) * grain


def writes(n):
    """Random 4 KiB writes, one after the other: how many a second."""
    handle, data = connect("a"), os.urandom(4096)
    places = [place(4096) for _ in range(n)]
    took = seconds(lambda: [handle.pwrite(data, at) for at in places])
    handle.shutdown()
    return n / took


def change_one_percent():
    handle, data = connect("a"), os.urandom(CLUSTER)
    for _ in range(PARTS * PART // CLUSTER // 100):
        handle.pwrite(data, place(CLUSTER))
    handle.shutdown()


def a_round():
    found = {}
    copies = [("full", full), ("nbdcopy", by_nbdcopy), ("flushed", lambda: by_nbdcopy("--flush"))]
    random.shuffle(copies)
    for name, what in copies:
        found[name] = seconds(what)
        os.sync()
        if name == "full":
            mirror("abort")
    run("cmp", "a.raw", "t.raw")
    change_one_percent()
    found["again"] = seconds(again)
    run("cmp", "a.raw", "t.raw")
    mirrored = writes(20000)
    in_sync()
    mirror("abort")
    found["writes"] = mirrored / writes(20000)
    return found


GUEST = """import json, nbd, random, signal, sys, time
hs = []
for name in "ab":
    h = nbd.NBD()
    h.connect_uri("%s".format(name))
    hs.append(h)
gaps, over = [], []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
last = time.monotonic()
while not over:
    for h in hs:
        h.pwrite(b"x" * 4096, random.randrange(h.get_size() // 4096) * 4096)
        now = time.monotonic()
        if now - last > 0.001:
            gaps.append((now, now - last))
        last = now
json.dump(gaps, sys.stdout)
"""


def longest(gaps, begin, end):
    return max([gap for at, gap in gaps if at > begin and at - gap < end], default=0.001) * 1000


def pivot():
    """Two drives of 256 MiB, with a guest that writes to both, one after the other: ms between two writes that end, at the most,
    while it is pivoted, and in as long a time before."""
    remove("t.raw", "u.raw", "s.json")
    sides = [("a.raw", "b.raw"), ("t.raw", "u.raw")]
    here = os.getcwd()
    guest = subprocess.Popen([sys.executable, "-c", GUEST % URI], stdout=subprocess.PIPE)
    moments, told = [], []
    for n in range(6):
        a, b = names()
        to_a, to_b = sides[(n + 1) % 2]
        mirror("start", "-d", "%s=%s/%s" % (a, here, to_a), "-d", "%s=%s/%s" % (b, here, to_b), "--force", "--state", "s.json")
        while not all(d["state"] == "in sync" for d in mirror("status")["mirror"]["drives"]):
            time.sleep(0.05)
        time.sleep(1)
        begin = time.monotonic()
        told.append(mirror("pivot")["standstill_ns"] / 1e6)
        moments.append((begin, time.monotonic()))
    guest.terminate()
    gaps = json.loads(guest.communicate()[0])
    return [(longest(gaps, begin, end), longest(gaps, begin - (end - begin), begin), ms) for (begin, end), ms in zip(moments, told)]


def make(name, size, parts, part):
    with open(name, "wb") as file:
        file.truncate(size)
        for i in range(parts):
            file.seek(i * (size // parts))
            for at in range(0, part, 1 << 20):
                file.write(os.urandom(min(1 << 20, part - at)))


def serve():
    server = subprocess.Popen([word.replace("{0}", os.getcwd()) for word in SERVERS[KIND]])
    while not os.path.exists("c.sock") or not os.path.exists("n.sock"):
        time.sleep(0.05)
    return server


def stop(server):
    server.terminate()
    server.wait()
    remove("c.sock", "n.sock", "a.map", "b.map")


def copies():
    make("a.raw", SIZE, PARTS, PART)
    make("b.raw", 1 << 20, 1, 1 << 20)
    server = serve()
    rounds = [a_round() for _ in range(ROUNDS)]
    stop(server)
    middle = statistics.median
    print(f"{KIND}: {GIB:g} GiB, {DATA:g} of random data, {ROUNDS} rounds, load {os.getloadavg()[0]:.0f}")
    for name in ("full", "nbdcopy", "flushed", "again"):
        print(f"{name:8} {middle(r[name] for r in rounds):8.2f} s")
    for text, name, other in (("full mirror / nbdcopy", "full", "nbdcopy"), ("full mirror / nbdcopy --flush", "full", "flushed"),
                              ("restart with 1 % / full", "again", "full")):
        ratios = [r[name] / r[other] for r in rounds]
        print(f"{text:30} {middle(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")
    ratios = [r["writes"] for r in rounds]
    print(f"4 KiB writes mirrored / alone  {middle(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


def main():
    folder = tempfile.mkdtemp(prefix="vmabak-mirror.", dir="/var/tmp")
    os.chdir(folder)
    try:
        if ROUNDS > 0:
            copies()
        for name in "ab":
            make(name + ".raw", 256 << 20, 1, 256 << 20)
        server = serve()
        print("pivots of two drives, ms: as the guest sees it, without one, as it is told:",
              ", ".join("%.1f %.1f %.1f" % three for three in pivot()))
        stop(server)
    finally:
        os.chdir("/")
        shutil.rmtree(folder)


main()
