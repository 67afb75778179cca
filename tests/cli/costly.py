#!/usr/bin/python3
"""usage: costly.py KIND N FILE

Makes a VMAB archive that is small and meant to cost a reader much more time or memory than that:

  index    N times 32768 entries that name two extents of drive b in turn as if drive a were in them
  nested   N extents of drive b, each of them in the payload of the one before, all of which the index calls a's
  holes    N drives of 1 PiB, each of two runs of zeros and a few clusters between
  drives   N drives of a cluster each, all zeros but for the first, which holds ff
  scatter  N * 1024 runs of zeros all over a drive of 2^63 - 65536 bytes; incremental"""
import struct
import sys

import xxhash

UUID = bytes(range(1, 17))
CLUSTER = 65536


def checked(data):
    data = bytearray(data.ljust(-(-len(data) // 512) * 512, b"\0"))
    data[0x70:0x80] = xxhash.xxh3_128_digest(bytes(data[:0x70] + data[0x80:]))
    return bytes(data)


class Archive:
    def __init__(self, drives, parent=b""):
        records = bytearray()
        for name, size in drives:
            value = struct.pack("<QQ", size, 0) + name
            records += struct.pack("<HHI", 1, 0, len(value)) + value + bytes(-len(value) % 8)
        size = -(-(128 + len(records)) // 512) * 512
        self.head = checked(struct.pack("<8sIIQQ16s16sqI36s16s", b"\x89VMB\r\n\x1a\n", 1, size, 0, 0, UUID, parent, 0,
                                        len(records), b"", b"") + records)
        self.data = bytearray(self.head)
        self.sequence = self.previous = self.n_data = self.n_zeros = self.raw_size = 0
        self.entries = []

    def header(self, kind, area, payload, position, sequence):
        stored = payload + bytes(-len(payload) % 512)
        return checked(struct.pack("<8s16sQQQHHIII16s32x16x", b"VMABSECT", UUID, sequence, position, self.previous, kind,
                                   0, len(area) // 32 if kind == 1 else 0, len(payload), len(payload),
                                   xxhash.xxh3_128_digest(stored)) + area) + stored

    def section(self, kind, area=b"", payload=b""):
        self.data += self.header(kind, area, payload, len(self.data), self.sequence)
        self.sequence += 1

    def zeros(self, runs):
        """runs: (drive, first cluster, number of clusters)"""
        if len(self.entries) + len(runs) > 32768:
            self.index()
        at = len(self.data)
        self.section(1, b"".join(struct.pack("<QIHHQQ", first, drive, 2, 0, n, 0) for drive, first, n in runs))
        self.entries += [(first, n, at, drive) for drive, first, n in runs]
        self.n_zeros += sum(n for _, _, n in runs)

    def index(self):
        if self.entries:
            at = len(self.data)
            self.section(2, payload=b"".join(struct.pack("<QQQQ", *entry) for entry in self.entries))
            self.previous, self.entries = at, []

    def finish(self, path):
        self.index()
        head_copy = len(self.data)
        for at in range(0, len(self.head), 4 << 20):
            self.section(3, payload=self.head[at:at + (4 << 20)])
        size = len(self.data) + 512
        self.section(4, struct.pack("<QQQQQQ", size, self.sequence + 1, self.n_data, self.n_zeros, self.raw_size, head_copy))
        with open(path, "wb") as file:
            file.write(self.data)


def index(n):
    archive = Archive([(b"a", CLUSTER), (b"b", 32768 * CLUSTER)])
    places = []
    for i in range(2):
        places.append(len(archive.data))
        archive.section(1, struct.pack("<QIHHQQ", i, 1, 2, 0, 1, 0))
    for _ in range(n):
        archive.entries = [(0, 1, places[i % 2], 0) for i in range(32768)]
        archive.index()
    return archive


def nested(n):
    """Slots of data, 16 blocks each; the payload of the last is the first of them that is made."""
    archive = Archive([(b"a", CLUSTER), (b"b", 32768 * CLUSTER)])
    header_size = -(-(128 + 64 * 32) // 512) * 512
    begin, payload, size = len(archive.data), bytes(4 << 20), 4 << 20
    for i in reversed(range(n)):
        area = b"".join(struct.pack("<QIHH16s", i * 64 + j, 1, 1, 0xffff, xxhash.xxh3_128_digest(
            payload[j * CLUSTER:(j + 1) * CLUSTER])) for j in range(64))
        payload = archive.header(1, area, payload[:size], begin + i * header_size, i) + payload[size:]
    archive.data += payload
    archive.entries = [(0, 1, begin + i * header_size, 0) for i in range(n)]
    archive.sequence = n
    return archive


def holes(n):
    clusters = (1 << 50) // CLUSTER
    archive = Archive([(b"d%d" % i, 1 << 50) for i in range(n)])
    for i in range(n):
        archive.zeros([(i, 0, clusters // 2), (i, clusters // 2 + 3, clusters // 2 - 3), (i, clusters // 2, 3)])
    return archive


def drives(n):
    archive = Archive([(b"d%d" % i, CLUSTER) for i in range(n)])
    for i in range(1, n, 1024):
        archive.zeros([(j, 0, 1) for j in range(i, min(i + 1024, n))])
    archive.index()
    payload, at = b"\xff" * CLUSTER, len(archive.data)
    archive.section(1, struct.pack("<QIHH16s", 0, 0, 1, 0xffff, xxhash.xxh3_128_digest(payload)), payload)
    archive.entries.append((0, 1, at, 0))
    archive.n_data, archive.raw_size = 1, CLUSTER
    return archive


def scatter(n):
    archive = Archive([(b"a", (1 << 63) - CLUSTER)], b"\x09" * 16)
    step = ((1 << 47) - 1) // (n * 1024)
    for i in range(n):
        archive.zeros([(0, (i * 1024 + j) * step + 3, step // 2) for j in range(1024)])
    return archive


if __name__ == "__main__":
    {"index": index, "nested": nested, "holes": holes, "drives": drives,
     "scatter": scatter}[sys.argv[1]](int(sys.argv[2])).finish(sys.argv[3])
