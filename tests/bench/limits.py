"""Measures what the machine allows, one thread and two at once, on the pieces of sample.bin: the
libraries alone, without reading, writing or anything of ours around them.

    limits.py DATA_BYTES ROUNDS   the table; DATA_BYTES is what the system image holds
    limits.py one KIND            MB/s of one kind, called by the former
"""
import statistics
import subprocess
import sys
import time

PIECE, CLUSTER = 4 << 20, 65536


def pieces():
    with open("sample.bin", "rb") as file:
        data = file.read()
    return [data[at:at + PIECE] for at in range(0, len(data), PIECE)]


def compress(level):
    import zstandard
    encoder, parts = zstandard.ZstdCompressor(level=level), pieces()
    return parts, lambda part: encoder.compress(part)


def decompress():
    import zstandard
    decoder, parts = zstandard.ZstdDecompressor(), pieces()
    frames = {id(part): zstandard.ZstdCompressor(level=1).compress(part) for part in parts}
    return parts, lambda part: decoder.decompress(frames[id(part)])


def checksums():
    import xxhash
    views = {}
    parts = pieces()
    for part in parts:
        view = memoryview(part)
        views[id(part)] = [view[at:at + CLUSTER] for at in range(0, PIECE, CLUSTER)]
    return parts, lambda part: [xxhash.xxh3_128_digest(view) for view in views[id(part)]]


def copy():
    parts, target = pieces(), bytearray(PIECE)
    return parts, lambda part: target.__setitem__(slice(0, len(part)), part)


KINDS = {
    "zstd level 1, 4 MiB pieces": lambda: compress(1),
    "zstd level 3, 4 MiB pieces": lambda: compress(3),
    "zstd decoding": decompress,
    "XXH3-128 of each 64 KiB": checksums,
    "copying in memory": copy,
}


def one(kind):
    """Waits until all have loaded their input: the caller gives the word."""
    parts, work = KINDS[kind]()
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.monotonic()
    rounds = 0
    while rounds == 0 or time.monotonic() - begin < 0.5:
        for part in parts:
            work(part)
        rounds += 1
    print(rounds * sum(map(len, parts)) / (time.monotonic() - begin) / 1e6)


def together(kind, count):
    """MB/s of all of them."""
    children = [subprocess.Popen([sys.executable, __file__, "one", kind], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    return sum(float(child.communicate()[0]) for child in children)


def table(data_bytes, rounds):
    speeds = {(kind, count): [] for kind in KINDS for count in (1, 2)}
    for _ in range(rounds):
        for kind, count in speeds:
            speeds[kind, count].append(together(kind, count))
    print(f"\n### What the libraries reach alone\n\n`sample.bin`, an eighth of the data of the system image; "
          f"the seconds are for all its {data_bytes / 1e6:.0f} MB of data.\n")
    print("| work | one thread, MB/s | seconds | two at once, MB/s | seconds |\n|---|---:|---:|---:|---:|")
    for kind in KINDS:
        single, double = (statistics.median(speeds[kind, count]) for count in (1, 2))
        print(f"| {kind} | {single:.0f} | {data_bytes / 1e6 / single:.2f} | {double:.0f} "
              f"| {data_bytes / 1e6 / double:.2f} |")


if sys.argv[1] == "one":
    one(sys.argv[2])
else:
    table(int(sys.argv[1]), int(sys.argv[2]))
