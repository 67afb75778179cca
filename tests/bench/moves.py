#!/usr/bin/python3
"""How long a checkpoint takes to another map: two serves on this host, straight and through `receive`.

    tests/bench/moves.py VMABAK [TIB [ROUNDS]]

The drive is sparse, on tmpfs, and each chunk of 1 KiB of its map has four clusters that changed; the map where it goes is on
disk. In rounds; medians. The bits that came are counted where they went."""

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
TIB = float(sys.argv[2]) if len(sys.argv) > 2 else 16
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 3
SIZE = int(TIB * 1024) << 30
CHUNK = 8192 * 65536  # bytes of the drive that a chunk of the map stands for
WAYS = {
    "straight": ["serve:d.sock", "--unwritten"],
    "through receive": ["exec:%s checkpoint receive --answers -q --unwritten serve:d.sock" % VMABAK],
}


def run(*words):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout


def serve(control, where, image):
    server = subprocess.Popen([VMABAK, "serve", "-q", "--control", control + ".sock", "--nbd", "unix:" + control + ".nbd",
                               "--map", where, "a=" + image], stderr=subprocess.DEVNULL)
    while subprocess.run([VMABAK, "status", control + ".sock"], capture_output=True, check=False).returncode != 0:
        time.sleep(0.02)
    return server


def write_in_every_chunk():
    handle = nbd.NBD()
    handle.connect_uri("nbd+unix:///a?socket=c.nbd")
    for chunk in range(SIZE // CHUNK):
        for at in random.sample(range(8192), 4):
            handle.pwrite(b"x" * 512, chunk * CHUNK + at * 65536)
    handle.shutdown()


def migrate(to):
    """Into a new map."""
    server = serve("d", "d.map", "b.raw")
    began = time.monotonic()
    told = json.loads(run(VMABAK, "checkpoint", "migrate", "start", "serve:c.sock", *to, "--json", "-q"))
    took = time.monotonic() - began
    assert told["changed_clusters"] == SIZE // CHUNK * 4, told
    assert json.loads(run(VMABAK, "checkpoint", "list", "--json", "serve:d.sock"))["checkpoints"][0]["state"] == "good"
    server.terminate()
    server.wait()
    os.remove("d.map")
    return took


def main():
    here, drives = tempfile.mkdtemp(dir="/var/tmp"), tempfile.mkdtemp(dir="/dev/shm")
    os.chdir(here)
    server = None
    try:
        for name in ("a.raw", "b.raw"):
            with open(os.path.join(drives, name), "wb") as image:
                image.truncate(SIZE)
            os.symlink(os.path.join(drives, name), name)
        server = serve("c", os.path.join(drives, "c.map"), "a.raw")  # its regions become hot at no cost
        run(VMABAK, "checkpoint", "create", "start", "serve:c.sock")
        write_in_every_chunk()
        found = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, to in WAYS.items():
                found[way].append(migrate(to))
        for way, times in found.items():
            print("%-16s %6.2f s (%s)" % (way, statistics.median(times), " ".join("%.2f" % t for t in times)))
        print("load", *os.getloadavg())
    finally:
        if server is not None:
            server.terminate()
            server.wait()
        os.chdir("/")
        shutil.rmtree(here)
        shutil.rmtree(drives)


main()
