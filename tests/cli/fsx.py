"""A guest that distrusts its drives: SEED ALIGN PAUSE URI=MODEL... Two connections to each drive read, write, zero, trim and flush at
random, in areas of their own, and hold all that they read against what they wrote before, until there is a file "enough". MODEL is
what the drive holds at first, and in the end what it must hold. PAUSE: ms after each request."""
import os
import random
import sys
import threading
import time

import nbd

seed, align, pause_ms = (int(text) for text in sys.argv[1:4])
LENGTHS = [align, 512, 4096, 5 * align, 65536, 66048, 150016, 300032]
failed, counts = [], []


def connect(uri):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    return handle


def whole(handle):
    size = handle.get_size()
    return b"".join(bytes(handle.pread(min(1 << 20, size - at), at)) for at in range(0, size, 1 << 20))


def area(rng, begin, end):
    at = rng.randrange(begin, end, align)
    if rng.random() < 0.5:
        at = max(at - at % rng.choice([4096, 65536]), begin)
    return at, min(rng.choice(LENGTHS), end - at)


def request(rng, handle, model, begin, end):
    at, length = area(rng, begin, end)
    kind = rng.choice(["write"] * 4 + ["read"] * 3 + ["zero", "zero in place", "trim", "flush"])
    fua = nbd.CMD_FLAG_FUA if rng.random() < 0.05 else 0
    if kind == "write":
        data = rng.randbytes(length)
        handle.pwrite(data, at, fua)
        model[at:at + length] = data
    elif kind.startswith("zero"):
        handle.zero(length, at, fua if kind == "zero" else nbd.CMD_FLAG_NO_HOLE)
        model[at:at + length] = bytes(length)
    elif kind == "trim":
        handle.trim(length, at)
        # What is there now is not promised, but that it stays.
        model[at:at + length] = handle.pread(length, at)
    elif kind == "flush":
        handle.flush()
    found, wanted = bytes(handle.pread(length, at)), bytes(model[at:at + length])
    if found != wanted:
        byte = next(i for i in range(length) if found[i] != wanted[i])
        raise AssertionError("byte %d of %d bytes at %d is %#x, not %#x, after: %s" % (byte, length, at, found[byte], wanted[byte], kind))


def guest(uri, model, begin, end, rng):
    done = 0
    try:
        handle = connect(uri)
        while not failed and not os.path.exists("enough"):
            request(rng, handle, model, begin, end)
            done += 1
            time.sleep(pause_ms / 1000)
        handle.flush()
        handle.shutdown()
    except Exception as why:
        failed.append("%s: request %d: %s" % (uri, done, why))
    counts.append(done)


threads, drives = [], []
for number, word in enumerate(sys.argv[4:]):
    uri, path = word.rsplit("=", 1)
    with open(path, "rb") as file:
        model = bytearray(file.read())
    drives.append((uri, path, model))
    middle = len(model) // 2 // align * align
    for k, (begin, end) in enumerate([(0, middle), (middle, len(model))]):
        threads.append(threading.Thread(target=guest, args=(uri, model, begin, end, random.Random(seed * 100 + number * 2 + k))))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for uri, path, model in drives:
    if not failed and whole(connect(uri)) != model:
        failed.append(uri + ": the whole differs")
    with open(path, "wb") as file:
        file.write(model)
print(sum(counts), "requests")
sys.exit("\n".join(failed) or 0)
