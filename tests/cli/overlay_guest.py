"""A guest of an export with an overlay: ARCHIVE-TRUTH MODEL N SEED [until-told]. Writes, zeroes and trims at random, in several
threads on areas of their own, and holds what it reads against a model, which is left in the file MODEL. Ends after a
flush; what follows it, unflushed, is told to nobody. Until told: ends once there is a file "told"."""
import os
import random
import sys
import threading

import nbd

truth, model_path, n, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
told = "told" if len(sys.argv) > 5 else None
try:
    model = bytearray(open(model_path, "rb").read())
except FileNotFoundError:
    model = bytearray(open(truth, "rb").read())
size, failed = len(model), []


def guest(number, begin, end):
    rng = random.Random(seed * 10 + number)
    handle = nbd.NBD()
    handle.connect_uri("nbd+unix:///root?socket=n.sock")
    assert handle.get_size() == size
    for _ in range(n):
        if told and os.path.exists(told):
            break
        at = rng.randrange(begin, end)
        length = min(rng.choice([1, 512, 4096, 5000, 65536, 150000]), end - at)
        if rng.random() < 0.6:
            at -= at % 4096
            at = max(at, begin)
        kind = rng.randrange(8)
        fua = nbd.CMD_FLAG_FUA if rng.random() < 0.1 else 0
        if kind < 4:
            data = rng.randbytes(length)
            handle.pwrite(data, at, fua)
            model[at:at + length] = data
        elif kind == 4:
            handle.zero(length, at, fua)
            model[at:at + length] = bytes(length)
        elif kind == 5:
            handle.trim(length, at)
            model[at:at + length] = handle.pread(length, at)
        if bytes(handle.pread(length, at)) != bytes(model[at:at + length]):
            failed.append(f"{length} bytes at {at} differ after a write of kind {kind}")
            return
    handle.flush()
    handle.shutdown()


# Areas do not end on blocks: two guests share the blocks between them.
bounds = [size * i // 3 for i in range(4)]
threads = [threading.Thread(target=guest, args=(i, bounds[i], bounds[i + 1])) for i in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if failed:
    sys.exit(failed[0])
handle = nbd.NBD()
handle.connect_uri("nbd+unix:///root?socket=n.sock")
if b"".join(bytes(handle.pread(min(1 << 20, size - at), at)) for at in range(0, size, 1 << 20)) != bytes(model):
    sys.exit("the whole differs")
handle.flush()
open(model_path, "wb").write(model)
handle.pwrite(b"not flushed", 0)
