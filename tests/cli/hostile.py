#!/usr/bin/python3
"""usage: hostile.py KIND MIB FILE

Makes an archive that is meant to cost salvage time or memory: everywhere something begins that
looks good, and claims more than is there. Without KIND the kinds are listed."""
import hashlib
import os
import struct
import sys

import xxhash
import zstandard

UUID = bytes(range(1, 17))
LARGE = 4 << 20


def checked(data):
    data = bytearray(data.ljust(-(-len(data) // 512) * 512, b"\0"))
    data[0x70:0x80] = xxhash.xxh3_128_digest(bytes(data[:0x70] + data[0x80:]))
    return bytes(data)


def vmab_head(size):
    record = struct.pack("<HHIQQ", 1, 0, 17, size, 0) + b"a".ljust(8, b"\0")
    return checked(struct.pack("<8sIIQQ16s16sqI36s16s", b"\x89VMB\r\n\x1a\n", 1, 512, 0, 0, UUID, b"",
                               0, len(record), b"", b"") + record)


def section(number, position, codec, slots, raw_size, stored_size):
    fields = struct.pack("<8s16sQQQHHIII16s32x16x", b"VMABSECT", UUID, number, position, 0, 1, codec,
                         len(slots) // 32, raw_size, stored_size, b"")
    return checked(fields + slots)


def data_slots(number):
    return b"".join(struct.pack("<QIHH16s", number % 1000 * 64 + i, 0, 1, 0xffff, b"x" * 16)
                    for i in range(64))


def vma_head():
    head = bytearray(12800)
    head[0:24] = b"VMA\0" + struct.pack(">I", 1) + UUID
    struct.pack_into(">III", head, 48, 12288, 512, 12800)
    head[60:76] = b"VMABAK-XXH3-64\0\1"
    head[12289:12293] = b"\x02\0a\0"
    struct.pack_into(">I4xQ", head, 4128, 1, 1 << 40)
    head[32:48] = hashlib.md5(head).digest()
    return bytes(head)


def vma_extent(number):
    extent = bytearray(512)
    extent[0:24] = b"VMAE\0\0" + struct.pack(">H", 16 * 27) + UUID
    for i in range(27):
        struct.pack_into(">HBBI", extent, 40 + 8 * i, 0xffff, 0, 1, number % 1000 * 27 + i)
    extent[24:40] = hashlib.md5(extent).digest()
    return bytes(extent)


def payloads(size):
    """Headers close by each other; each claims a payload of 4 MiB."""
    one = len(section(0, 0, 0, data_slots(0), LARGE, LARGE))
    return [vmab_head(1 << 40)] + [section(i, 512 + i * LARGE, 0, data_slots(i), LARGE, LARGE)
                                   for i in range(size // one)]


def frames(size):
    """The same, and each begins with a frame that becomes 4 MiB."""
    frame = zstandard.ZstdCompressor().compress(bytes(LARGE)).ljust(512, b"\0")
    one = len(section(0, 0, 1, data_slots(0), LARGE, LARGE - 1) + frame)
    return [vmab_head(1 << 40)] + [section(i, 512 + i * LARGE, 1, data_slots(i), LARGE, LARGE - 1)
                                   + frame for i in range(size // one)]


def magics(size):
    """Headers with the right uuid, as large as can be, as close as can be, and all bad."""
    one = (b"VMABSECT" + UUID + bytes(28) + struct.pack("<I", 1024)).ljust(112, b"\0")
    return [vmab_head(1 << 40), one * (size // len(one))]


def heads(size):
    """Heads of 16 MiB that are bad."""
    one = struct.pack("<8sII16x16s464x", b"\x89VMB\r\n\x1a\n", 1, 16 << 20, UUID)
    return [one * (size // len(one))]


def no_head(size):
    """No head; what may be sections of many archives of both formats."""
    return [b"VMABSECT" + os.urandom(16) + bytes(88) + b"VMAE\0\0" + os.urandom(18)
            for _ in range(size // 136)]


def runs(size):
    """Zeros of 2 TiB, again and again."""
    slots = struct.pack("<QIHHQQ", 0, 0, 2, 0, 1 << 25, 0) * 1024
    one = len(section(0, 0, 0, slots, 0, 0))
    return [vmab_head(1 << 41)] + [section(i, 512 + i * one, 0, slots, 0, 0)
                                   for i in range(size // one)]


def vma_magics(size):
    return [vma_head(), (b"VMAE\0\0\0\0" + UUID) * (size // 24)]


def vma_extents(size):
    """Extents without the data that they claim."""
    return [vma_head()] + [vma_extent(i) for i in range(size // 512)]


def frames_in_frames(size):
    """zstd frames, each of which begins in a block of those before it, and all are bad."""
    block = (131072 << 3).to_bytes(3, "little")
    one = b"\x28\xb5\x2f\xfd\0\x58" + block
    return [one * (size // len(one))]


KINDS = (payloads, frames, magics, heads, no_head, runs, vma_magics, vma_extents, frames_in_frames)
if len(sys.argv) < 4:
    print(*(kind.__name__ for kind in KINDS))
    sys.exit()
make = next(kind for kind in KINDS if kind.__name__ == sys.argv[1])
with open(sys.argv[3], "wb") as file:
    file.writelines(make(int(sys.argv[2]) << 20))
