#!/usr/bin/python3
"""usage: compare.py URI OTHER-URI SIZE SEED COUNT

Sends the same requests, good and bad ones, to two NBD servers of equal exports of SIZE bytes;
tells every difference in errors and in bytes. Exit code 1 if there is one."""
import random
import sys

import nbd


def connect(uri):
    handle = nbd.NBD()
    handle.set_strict_mode(0)  # bad requests are to reach the server
    handle.add_meta_context(nbd.CONTEXT_BASE_ALLOCATION)
    handle.connect_uri(uri)
    return handle


def some_request(source, size):
    """A name and what follows the handle. Most lie within the export, at odd places."""
    kind = source.choice(["pread", "pread", "pwrite", "pwrite", "zero", "trim", "flush", "pread_structured"])
    length = source.choice([0, 1, 512, 4096, 5000, 65536, 300000, 1 << 20, source.randrange(1, 3 << 20)])
    offset = source.choice([0, source.randrange(size), source.randrange(size) // 4096 * 4096, size - 1,
                            size - length, size, size + 4096, 1 << 62])
    flags = source.choice([0, 0, 0, 0, nbd.CMD_FLAG_FUA, nbd.CMD_FLAG_DF, nbd.CMD_FLAG_NO_HOLE, 0x4000])
    if kind in ("pwrite", "zero"):
        length = max(1, length)  # none: EINVAL here, ENOSPC there, and the protocol leaves it open
    return kind, max(0, offset), length, flags


def perform(handle, request, data):
    kind, offset, length, flags = request
    try:
        if kind == "flush":
            handle.flush(flags)
        elif kind == "pwrite":
            handle.pwrite(data[:length], offset, flags)
        elif kind == "pread":
            return handle.pread(length, offset, flags)
        elif kind == "pread_structured":
            return handle.pread_structured(length, offset, lambda *unused: 0, flags)
        else:
            getattr(handle, kind)(length, offset, flags)
    except nbd.Error as error:
        return "error " + str(error.errno)
    return "done"


def main():
    one, other = connect(sys.argv[1]), connect(sys.argv[2])
    size, seed, count = (int(text) for text in sys.argv[3:6])
    source = random.Random(seed)
    outcomes, differences = {}, 0
    for number in range(count):
        request = some_request(source, size)
        data = source.randbytes(4096) * 769
        mine, theirs = perform(one, request, data), perform(other, request, data)
        if mine != theirs:
            differences += 1
            print(f"request {number} {request}:", *("bytes" if isinstance(x, (bytes, bytearray)) else x
                                                     for x in (mine, theirs)))
        name = mine if isinstance(mine, str) else "bytes"
        outcomes[name] = outcomes.get(name, 0) + 1
    if one.pread(size, 0) != other.pread(size, 0):
        differences += 1
        print("the exports differ at the end")
    print(outcomes)
    sys.exit(1 if differences else 0)


main()
