#!/usr/bin/python3
"""Mirrors of a serve: against nbdcopy, restarted, beside a guest's writes, and how long a pivot holds the guest.

    tests/bench/mirror.py VMABAK [GIB [ROUNDS]]

In rounds, each way once a round; medians of the ratios within rounds. What a mirror made is compared with its source."""

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import nbd

VMABAK = os.path.realpath(sys.argv[1])
GIB = float(sys.argv[2]) if len(sys.argv) > 2 else 4
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
SIZE = int(GIB * 1024) << 20
CLUSTER = 65536
URI = "nbd+unix:///{}?socket=n.sock"


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def mirror(action, *words):
    text = run(VMABAK, "mirror", action, "serve:c.sock", "--json", "-q", *words)
    return json.loads(text)


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
    mirror("start", "-d", "a=t.raw", "--state", "s.json")
    in_sync()


def again():
    mirror("start", "-d", "a=t.raw", "--state", "s.json")
    in_sync()


def by_nbdcopy():
    remove("n.raw")
    run("truncate", "-s", str(SIZE), "n.raw")
    run("nbdcopy", URI.format("a"), "n.raw")


def connect(name):
    handle = nbd.NBD()
    handle.connect_uri(URI.format(name))
    return handle


def writes(n):
    """Random 4 KiB writes, one after the other: how many a second."""
    handle, data = connect("a"), os.urandom(4096)
    places = [random.randrange(SIZE // 4096) * 4096 for _ in range(n)]
    took = seconds(lambda: [handle.pwrite(data, at) for at in places])
    handle.shutdown()
    return n / took


def change_one_percent():
    handle, data = connect("a"), os.urandom(CLUSTER)
    for cluster in random.sample(range(SIZE // CLUSTER), SIZE // CLUSTER // 100):
        handle.pwrite(data, cluster * CLUSTER)
    handle.shutdown()


def a_round():
    found = {}
    copies = [("full", full), ("nbdcopy", by_nbdcopy)]
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


def pivot():
    """Two drives, with a guest that writes to both."""
    remove("t.raw", "u.raw", "s.json")
    sides = [("a.raw", "b.raw"), ("t.raw", "u.raw")]
    script = ("import nbd, os, random\nhs = []\nfor d in 'ab':\n h = nbd.NBD()\n h.connect_uri('%s'.format(d))\n hs.append(h)\n"
              "while True:\n for h in hs: h.pwrite(b'x' * 4096, random.randrange(h.get_size() // 4096) * 4096)\n" % URI)
    guest = subprocess.Popen([sys.executable, "-c", script])
    held = []
    for n in range(6):
        a, b = sides[(n + 1) % 2]
        mirror("start", "-d", "a=" + a, "-d", "b=" + b, "--force", "--state", "s.json")
        while True:
            drives = mirror("status")["mirror"]["drives"]
            if all(d["state"] == "in sync" for d in drives):
                break
            time.sleep(0.05)
        told = mirror("pivot")
        held.append((told["standstill_ns"] / 1e6, told["attempts"]))
    guest.kill()
    guest.wait()
    return held


def main():
    folder = tempfile.mkdtemp(prefix="vmabak-mirror.")
    os.chdir(folder)
    with open("a.raw", "wb") as file:
        for _ in range(SIZE >> 20):
            file.write(os.urandom(1 << 20))
    run("sh", "-c", "head -c 256M a.raw >b.raw")
    serve = subprocess.Popen([VMABAK, "serve", "-q", "--control", "c.sock", "--nbd", "unix:n.sock", "--map", "a=a.map",
                              "--map", "b=b.map", "a=a.raw", "b=b.raw"])
    try:
        while not os.path.exists("c.sock"):
            time.sleep(0.05)
        rounds = [a_round() for _ in range(ROUNDS)]
        middle = statistics.median
        print(f"{GIB:g} GiB of random data, {ROUNDS} rounds, load {os.getloadavg()[0]:.0f}")
        for name in ("full", "nbdcopy", "again"):
            print(f"{name:8} {middle(r[name] for r in rounds):8.2f} s")
        print(f"full mirror / nbdcopy          {middle(r['full'] / r['nbdcopy'] for r in rounds):.2f}")
        print(f"restart with 1 % / full        {middle(r['again'] / r['full'] for r in rounds):.3f}")
        print(f"4 KiB writes mirrored / alone  {middle(r['writes'] for r in rounds):.2f}")
        print("pivots of two drives (ms, attempts):", ", ".join(f"{ms:.1f} {n}" for ms, n in pivot()))
    finally:
        serve.terminate()
        serve.wait()
        os.chdir("/")
        shutil.rmtree(folder)


main()
