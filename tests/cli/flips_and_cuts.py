#!/usr/bin/python3
"""usage: flips_and_cuts.py VMABAK ARCHIVE N [UNPROTECTED_FROM]

Flips N bits of the archive, one at a time, spread over all of it, and cuts it at N lengths. Verify
must refuse each with code 4, or 1 where the version became another, in one line, and never crash.
Flips from UNPROTECTED_FROM on are left out."""
import random
import subprocess
import sys

vmabak, path, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
good = open(path, "rb").read()
flips_end = int(sys.argv[4]) if len(sys.argv) > 4 else len(good)
chance = random.Random(1)
failures = 0


def try_out(what, archive):
    global failures
    done = subprocess.run([vmabak, "verify", "-"], input=archive, capture_output=True, check=False)
    message = done.stderr.decode()
    if done.returncode not in (1, 4) or message.count("\n") != 1 or done.stdout:
        print(f"{what}: code {done.returncode}: {message}")
        failures += 1


for i in range(n):
    at = min(i * flips_end // n + chance.randrange(flips_end // n), flips_end - 1)
    bad = bytearray(good)
    bad[at] ^= 1 << chance.randrange(8)
    try_out(f"flip in byte {at}", bytes(bad))
for i in range(n):
    length = i * len(good) // n if i % 2 else i * len(good) // n // 512 * 512
    try_out(f"cut to {length} bytes", good[:length])
sys.exit(1 if failures else 0)
