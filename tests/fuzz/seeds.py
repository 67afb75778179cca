#!/usr/bin/python3
"""usage: seeds.py FOLDER

Makes the inputs that the fuzz targets begin with, from the texts in tests/images: FOLDER/restore,
FOLDER/input, FOLDER/head, FOLDER/section, FOLDER/options; and FOLDER/nbd_server. Archives above 64 KiB are left out, and
so are those whose head alone is larger from head: they make each try slow."""
import os
import re
import struct
import sys

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree
HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(os.path.dirname(HERE), "images")
sys.path.insert(0, IMAGES)

import compile as images

LIMIT = 65536
WRAPPED = re.compile(r"^wrap ", re.M)
OPTIONS = ["backup\n-o\na.vmab\ndisk0=a.raw\n-c\na.conf", "restore\na.vmab\n-C\nb\n-d\n@1=x\n--force",
           "backup\n--compress=zstd:19\n--rate\n10MiB/s\n-o\n-\n--threads=3\n--record-size\n512K\nx",
           "verify\n--quick\n--json\na\nb", "list\n--json\n-", "convert\na\n-o\nb.vma\n--format\nvma",
           "config\na\nb.conf", "help\nbackup", "--version", "backup\n--uuid\n"
           "00112233-4455-6677-8899-aabbccddeeff\n--note\nx\n--progress=always\n--progress-fd=3",
           "18446744073709551615\n18446744073709551616\n16P\n17KB\n1e3\n-1\n0x10\n5 M\nnone\ngzip:9"]


def put(folder, kind, name, data):
    path = os.path.join(folder, kind)
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, name), "wb") as file:
        file.write(data)


def head_size(data):
    if data[:4] == b"VMA\0":
        return int.from_bytes(data[56:60], "big")
    return int.from_bytes(data[12:16], "little")


def cut_up(folder, name, data):
    """The head, and each section with the position and the uuid that fuzz_section.c has."""
    size = head_size(data)
    if 512 <= size <= min(LIMIT, len(data)):
        put(folder, "head", name, data[:size] + b"\1")
    vma = data[:4] == b"VMA\0"
    magic = b"VMAE\0\0" if vma else b"VMABSECT"
    places = [at for at in range(0, len(data), 512) if data[at:at + len(magic)] == magic]
    for number, (at, end) in enumerate(zip(places, places[1:] + [len(data)])):
        section = bytearray(data[at:min(end, at + LIMIT)])
        section[8:24] = bytes(range(1, 17))
        if not vma:
            section[0x20:0x28] = (4096).to_bytes(8, "little")
        for how in (5, 7) if vma else (4,):
            put(folder, "section", f"{name}-{number}-{how}", bytes([how]) + section)


def nbd_option(option, data=b""):
    return b"IHAVEOPT" + struct.pack(">II", option, len(data)) + data


def nbd_request(command, offset, length, flags=0, data=b""):
    return struct.pack(">IHHQQI", 0x25609513, flags, command, 1, offset, length) + data


def nbd_queries(*queries):
    return struct.pack(">I4sI", 4, b"disk", len(queries)) + b"".join(
        struct.pack(">I", len(query)) + query for query in queries)


def nbd_clients(folder):
    """The first byte is what fuzz_nbd_server.c sends before: 0 nothing, 1 and above a handshake."""
    info = struct.pack(">I4sH4H", 4, b"disk", 4, 0, 1, 2, 3)
    hello = struct.pack(">I", 3)
    ways = {"old": nbd_option(1, b"disk"), "go": nbd_option(6, info) + nbd_option(7, info),
            "list": nbd_option(3) + nbd_option(2), "tls": nbd_option(5) + nbd_option(77, b"x"),
            "contexts": nbd_option(8) + nbd_option(9, nbd_queries())
            + nbd_option(9, nbd_queries(b"base:", b"qemu:"))
            + nbd_option(10, nbd_queries(b"base:allocation", b"qemu:dirty-bitmap:four"))
            + nbd_option(7, info) + nbd_request(7, 0, 131072)}
    requests = {"read": nbd_request(0, 0, 4096) + nbd_request(0, 100, 70000, 4), "disc": nbd_request(2, 0, 0),
                "write": nbd_request(1, 4096, 5, 1, b"bytes") + nbd_request(3, 0, 0),
                "long": nbd_request(0, 0, 196608), "zero": nbd_request(6, 0, 65536, 18),
                "trim": nbd_request(4, 65536, 65536), "status": nbd_request(7, 0, 196608, 8)}
    for name, data in ways.items():
        put(folder, "nbd_server", name, b"\0" + hello + data)
    for name, data in requests.items():
        for way in range(1, 4):
            put(folder, "nbd_server", f"{name}-{way}", bytes([way]) + data + nbd_request(0, 0, 1))


def main():
    folder = sys.argv[1]
    nbd_clients(folder)
    for file in sorted(os.listdir(IMAGES)):
        name, ending = os.path.splitext(file)
        path = os.path.join(IMAGES, file)
        # texts that stand for very much are slow to compile, and too large in the end
        if ending != ".txt" or os.path.getsize(path) > LIMIT:
            continue
        data = images.load(path).build()
        if len(data) > LIMIT:
            continue
        with open(path, encoding="utf-8") as text:
            wrapped = WRAPPED.search(text.read())
        put(folder, "input" if wrapped else "restore", name, data)
        if not wrapped and len(data) >= 512:
            cut_up(folder, name, data)
    for number, text in enumerate(OPTIONS):
        put(folder, "options", str(number), text.encode())


if __name__ == "__main__":
    main()
