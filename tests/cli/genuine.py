#!/usr/bin/python3
"""usage: genuine.py ARCHIVE [NAME=SIZE]...

Whether the genuine tool for VMA takes the archive, by a reading of the format of its own: every
check that is known of that tool, and that drives of these names and sizes are in it. Prints the
number of extents and of checksums found in unused slots."""
import hashlib
import struct
import sys

CLUSTER, BLOCK = 65536, 4096
data = open(sys.argv[1], "rb").read()


def demand(condition, at, text):
    if not condition:
        sys.exit(f"byte {at}: {text}")


def unsigned(at, size):
    return int.from_bytes(data[at:at + size], "big")


def read_blobs(at, size):
    blobs, used = {}, 1
    demand(data[at] == 0, at, "byte 0 of the blobs is used")
    while used < size:
        length = int.from_bytes(data[at + used:at + used + 2], "little")
        demand(used + 2 + length <= size, at + used, "blob past the end")
        blobs[used] = data[at + used + 2:at + used + 2 + length]
        used += 2 + length
    return blobs


def read_header():
    size, blob_at, blob_size = unsigned(56, 4), unsigned(48, 4), unsigned(52, 4)
    demand(data[:8] == b"VMA\0\0\0\0\1", 0, "magic or version")
    demand(12288 < size <= 524288 and size % 512 == 0, 56, f"header of {size} bytes")
    demand(blob_at >= 12288 and blob_at + blob_size <= size, 48, "blob buffer")
    md5 = hashlib.md5(data[:32] + bytes(16) + data[48:size]).digest()
    demand(md5 == data[32:48], 32, "MD5 of the header")
    blobs, drives, names = read_blobs(blob_at, blob_size), {}, set()
    for i in range(256):
        name, content = unsigned(2044 + 4 * i, 4), unsigned(3068 + 4 * i, 4)
        demand((name == 0) == (content == 0), 2044 + 4 * i, "half a config")
        demand(name == 0 or blobs[name].endswith(b"\0") and content in blobs, 2044 + 4 * i, "config")
        at = 4096 + 32 * i
        if not any(data[at:at + 32]):
            continue
        name, length = blobs[unsigned(at, 4)], unsigned(at + 8, 8)
        demand(1 <= i <= 254 and length > 0 and length % 512 == 0, at, f"drive {i} of {length} bytes")
        demand(name.endswith(b"\0") and not set(name) & set(b" /\n"), at, f"name {name}")
        demand(name not in names, at, "two drives of one name")
        names.add(name)
        drives[i] = (name[:-1].decode(), length)
    return size, drives


def read_extent(at, drives, seen):
    """Its size, and how many bytes of its unused slots are not zero."""
    head, n_blocks, unused = data[at:at + 512], 0, b""
    demand(len(head) == 512 and head[:6] == b"VMAE\0\0", at, "no extent")
    demand(head[8:24] == data[8:24], at, "uuid")
    demand(hashlib.md5(head[:24] + bytes(16) + head[40:]).digest() == head[24:40], at, "MD5")
    for slot in range(40, 512, 8):
        mask, _, drive, cluster = struct.unpack_from(">HBBI", head, slot)
        if drive == 0:
            unused += head[slot:slot + 8]
            continue
        demand(drive in drives, at + slot, f"no drive {drive}")
        name, length = drives[drive]
        demand(cluster * CLUSTER < length, at + slot, "cluster past the end")
        demand(cluster not in seen[drive], at + slot, f"cluster {cluster} of {name} twice")
        demand(name != "vmstate" or cluster == len(seen[drive]), at + slot, "vmstate is not in order")
        seen[drive].add(cluster)
        n_there = -(-min(length - cluster * CLUSTER, CLUSTER) // BLOCK)
        demand(mask >> n_there == 0, at + slot, "blocks past the end")
        for block in range(n_there):
            if mask >> block & 1:
                place = at + 512 + BLOCK * n_blocks
                demand(any(data[place:place + BLOCK]), place, "a block of zeros is stored")
                n_blocks += 1
    demand(n_blocks == unsigned(at + 6, 2), at + 6, "number of blocks")
    demand(at + 512 + BLOCK * n_blocks <= len(data), at, "blocks past the end of the archive")
    return 512 + BLOCK * n_blocks, len(unused.strip(b"\0"))


at, drives = read_header()
seen, n_extents, n_unused = {i: set() for i in drives}, 0, 0
while at < len(data):
    size, n = read_extent(at, drives, seen)
    at, n_extents, n_unused = at + size, n_extents + 1, n_unused + n
demand(at == len(data) and n_extents > 0, at, "the end")
for i, (name, length) in drives.items():
    demand(len(seen[i]) == -(-length // CLUSTER), at, f"only {len(seen[i])} clusters of {name}")
wanted = [(name, int(size)) for name, size in (text.split("=") for text in sys.argv[2:])]
demand(list(drives.values()) == wanted, 4096, f"drives {drives}")
print(n_extents, n_unused)
