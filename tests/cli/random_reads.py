"""Reads an export of n.sock at random and holds every byte against a file: DRIVE FILE N [SEED]. Several requests are in
flight, of any length, on and off boundaries; each third goes on where the one before ended."""
import os
import random
import sys

import nbd

drive, path, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
handle = nbd.NBD()
handle.connect_uri(f"nbd+unix:///{drive}?socket=n.sock")
size = handle.get_size()
if size != os.path.getsize(path):
    sys.exit(f"the export has {size} bytes, {path} {os.path.getsize(path)}")
file = open(path, "rb")
flying, at = {}, 0

for i in range(n):
    length = min(rng.choice([1, 511, 4096, 4096, 65536, rng.randrange(1, 1 << 20)]), size)
    at = at if i % 3 == 2 and at + length <= size else rng.randrange(0, size - length + 1)
    if rng.random() < 0.5:
        at -= at % 4096
    buffer = nbd.Buffer(length)
    flying[handle.aio_pread(buffer, at)] = (at, buffer)
    at += length
    while len(flying) >= 16 or (i == n - 1 and flying):
        handle.poll(-1)
        for cookie in [c for c in flying if handle.aio_command_completed(c)]:
            offset, got = flying.pop(cookie)
            wanted = os.pread(file.fileno(), len(got), offset)
            if bytes(got.to_bytearray()) != wanted:
                sys.exit(f"{len(wanted)} bytes at {offset} differ")
handle.shutdown()
