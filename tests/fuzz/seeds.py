#!/usr/bin/python3
"""usage: seeds.py FOLDER

Makes the inputs that the fuzz targets begin with, from the texts in tests/images: FOLDER/restore, FOLDER/view,
FOLDER/web_view, FOLDER/salvage, FOLDER/input, FOLDER/head, FOLDER/section, FOLDER/options, from those in tests/changes:
FOLDER/changes; and without texts
FOLDER/nbd_server, FOLDER/map, FOLDER/sums, FOLDER/qcow2, FOLDER/qmp, FOLDER/control,
FOLDER/live, FOLDER/definition, FOLDER/moves. Archives above 64 KiB are left out, and
so are those whose head alone is larger from head: they make each try slow."""
import os
import re
import struct
import sys

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree
HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = os.path.join(os.path.dirname(HERE), "images")
sys.path[:0] = [IMAGES, os.path.join(os.path.dirname(HERE), "changes")]

import compile as images
import samples

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


def map_header(sequence=7, version=1, state=1, current=3, kind=1):
    return (b"\x89VMG\r\n\x1a\n" + struct.pack("<IIQQ16sHHI", version, state, sequence, 0x1234, bytes(16), current, 0, kind)
            ).ljust(512, b"\0")


def moved(kind, data):
    """A record of a checkpoint that moves, without its checksum, which fuzz_moves.c puts in."""
    return struct.pack("<HHIQ", kind, 0, len(data), 0) + data


def moves(folder):
    head = b"\x89VMT\r\n\x1a\n" + bytes(8)
    names = b"ca"

    def drive(number=0, n=3, size=1300 * 65536 - 5, chunk=64):
        return moved(1, struct.pack("<IIQQHHIQQ16sQQBB6s", number, chunk, size, 0x1234, 3, 0, 65536, n, 9, bytes(16), 0, 0, 1,
                                    1, bytes(6)) + names)

    def chunks(first, n=1, data=b"", number=0):
        return moved(2, struct.pack("<IIQ", number, n, first) + data)

    def end(number=0, n=3):
        return moved(3, struct.pack("<IIQQ", number, 1, n, 1 << 63))
    bits = b"\1" + bytes(62) + b"\x80"
    whole = drive() + chunks(0, 1, bits) + chunks(1) + chunks(2, 1, b"\1" + bytes(34)) + end()
    for name, how, data in [
            ("whole", 1, whole + moved(4, struct.pack("<II", 1, 0))), ("trusted", 3, whole + moved(4, struct.pack("<II", 1, 0))),
            ("twice", 3, whole + drive(1) + chunks(0, 3, b"", 1) + end(1) + moved(4, struct.pack("<II", 2, 0))),
            ("zeros", 3, drive(n=0) + chunks(0, 3) + end(n=0) + moved(4, struct.pack("<II", 1, 0))), ("cut", 1, whole[:-9]),
            ("behind", 1, drive() + chunks(2, 1, bytes(34) + b"\xff")), ("many", 1, drive() + chunks(0, 1 << 31)),
            ("empty", 0, b""), ("unchecked", 0, whole), ("answer", 1, moved(5, struct.pack("<IIQQ", 0, 0, 0, 1)))]:
        put(folder, "moves", name, bytes([how]) + head + data)


def maps(folder):
    """The first two bytes are what fuzz_map.c makes right, and the size of the drive."""
    marks = struct.pack("<HHH", 3, 2, 0).ljust(4096, b"\0") + struct.pack("<HHHHH", 1, 2, 3, 3, 0) * 800
    both = map_header(8) + map_header(7, current=2) + bytes(8)
    for name, how, size, data in [
            ("clean", 15, 200, both + marks), ("killed", 15, 100, map_header(7, state=2) + bytes(520) + marks),
            ("second", 31, 64, bytes(512) + map_header(9) + bytes(8) + marks), ("short", 7, 1, both),
            ("died", 11, 10, map_header(state=2) + bytes(520)), ("device", 13, 10, map_header(kind=2) + bytes(520)),
            ("last", 15, 63, map_header(current=65535) + bytes(520) + marks), ("empty", 0, 3, b""),
            ("later", 15, 3, map_header(version=5) + bytes(520)), ("other", 0, 3, b"no map at all"),
            ("nothing", 15, 0, both), ("without a log", 15, 0, map_header(version=3) * 2 + bytes(8)), ("damaged", 14, 7, both + marks)]:
        put(folder, "map", name, bytes([how, size]) + data)


def sums_head(*drives, records=b""):
    """The head of a sums file: names and sizes; fuzz_sums.c makes its checksum right."""
    for name, size in drives:
        value = struct.pack("<QQ", size, 0) + name
        records += struct.pack("<HHI", 1, 0, len(value)) + value + bytes(-len(value) % 8)
    head = struct.pack("<8sIIQQ16s16sqI52x", b"\x89VMS\r\n\x1a\n", 1, 4096, 0, 0, bytes(range(1, 17)), bytes(16),
                       1700000000000000000, len(records))
    return (head + records).ljust(4096, b"\0")


def qcow2_image(bitmaps=1, snapshots=2, features=0, autoclear=1, size=655260, bits=b"\x09\xfe", entry=2048, extended=0):
    """Clusters of 512 bytes: head, L1, directory, table, bits, snapshots, two older L1 tables, three L2 tables, data."""
    clusters = [bytes(512)] * 14
    head = b"QFI\xfb" + struct.pack(">IQIIQIIQQIIQQQQII", 3, 0, 0, 9, size, 0, 40, 512, 0, 0, snapshots, 2560, features, 0,
                                    autoclear, 4, 104)
    if bitmaps:
        head += struct.pack(">IIIIQQ", 0x23852875, 24, bitmaps, 0, 32 * bitmaps, 1024)
    clusters[0] = head
    clusters[1] = bytes(64) + struct.pack(">QQ", 8 * 512 | 1 << 63, 9 * 512)
    clusters[2] = b"".join(struct.pack(">QIIBBHI3s5x", 1536, 1, flags, 1, 16, 3, 0, name)
                           for flags, name in [(2, b"one"), (3, b"two"), (0, b"six")][:bitmaps])
    clusters[3], clusters[4] = struct.pack(">Q", entry), bits
    clusters[5] = b"".join(struct.pack(">QIHHIIQIIQQ1s1s6x", l1, 40, 1, 1, 1700000000, 5, 7, 0, 16, 0, disk, number, name)
                           for l1, disk, number, name in [(3072, size, b"1", b"a"), (3584, size - 65536, b"2", b"b")])
    clusters[6] = bytes(64) + struct.pack(">QQ", 9 * 512, 9 * 512)
    clusters[7] = bytes(64) + struct.pack(">QQ", 9 * 512, 10 * 512)
    clusters[8] = struct.pack(">QQ", 11 * 512 | 1 << 63, 1)
    clusters[9] = struct.pack(">QQ", 11 * 512, 1 << 62 | 77)
    return b"".join(cluster.ljust(512, b"\0") for cluster in clusters)


def qcow2(folder):
    """The first byte: how much longer the file is, in 64 KiB."""
    for name, image in [
            ("plain", qcow2_image()), ("many", qcow2_image(3)), ("all-set", qcow2_image(entry=1)), ("clear", qcow2_image(entry=0)),
            ("outdated", qcow2_image(autoclear=0)), ("no-bitmaps", qcow2_image(0)), ("extended", qcow2_image(features=16)),
            ("data-file", qcow2_image(features=4)), ("past-the-end", qcow2_image(entry=1 << 30)),
            ("no-snapshots", qcow2_image(snapshots=0)), ("one-too-many", qcow2_image(snapshots=3)), ("head", qcow2_image()[:512]),
            ("cut", qcow2_image()[:5000])]:
        put(folder, "qcow2", name, b"\0" + image)
    put(folder, "qcow2", "longer", b"\3" + qcow2_image(2))


def sums(folder):
    """The first byte is what fuzz_sums.c makes right."""
    page, last = (bytes(range(1, 17)) * 255).ljust(4096, b"\0"), bytes(range(1, 33)).ljust(4096, b"\0")
    bits = lambda *bits: sum(1 << bit for bit in bits).to_bytes(4096, "little")
    small = sums_head((b"disk0", 257 * 65536 - 100)) + page + last + bits(0, 1)
    holes = sums_head((b"a", 5), (b"none", 0), (b"b", 600 * 65536)) + bytes(4096) + bits() + bytes(4096) + page + bytes(4096) + bits(1)
    huge = sums_head((b"large", 1 << 50), (b"x", 1)) + page
    checkpoint = sums_head((b"x", 1), records=struct.pack("<HHI8s", 4, 0, 6, b"monday"))
    for name, how, data in [
            ("small", 7, small), ("holes", 7, holes), ("huge", 7, huge), ("lost", 7, small.replace(page, bytes(4096))), ("past", 3, small + page),
            ("unmapped", 7, small[:-4096] + bits(0)), ("beyond", 7, small[:-4096] + bits(0, 1, 9)), ("cut", 3, small[:9000]),
            ("damaged", 5, small), ("twice", 7, sums_head((b"x", 1), (b"x", 1))), ("too-large", 7, sums_head((b"x", (1 << 63) - 1))),
            ("checkpoint", 7, checkpoint), ("config", 7, sums_head(records=struct.pack("<HHIHHI8s", 2, 0, 10, 1, 0, 0, b"ab")))]:
        put(folder, "sums", name, bytes([how]) + data)


HELLO = b'{"QMP": {"version": {"qemu": {"major": 9}}, "capabilities": []}}\r\n{"return": {}, "id": \4}\n'
NODE = (b'{"node-name": "vmabak-0123abcd-%d", "drv": "nbd", "ro": false, "backing_file_depth": 0, "image": {"virtual-size": 65536, '
        b'"filename": "nbd+unix:///0?socket=/tmp/vmabak-0123abcd/nbd"}}')
DISK = (b'{"device": "virtio%d", "qdev": "/machine/peripheral/virtio%d/virtio-backend", "removable": false, "inserted": '
        b'{"node-name": "#block%d", "drv": "raw", "ro": false, "image": {"virtual-size": 1048576, "filename": "a.raw"}}}')
JOB = b'{"id": "vmabak-0123abcd-%d", "status": "%s", "type": "backup", "error": "Operation canceled"}'


def qmp_answer(value):
    return b'{"return": ' + value + b', "id": \4}\n'


def qmp_peers(folder):
    """The first byte tells what fuzz_qmp.c asks for, and whether the peer hangs up: 2 * what + up.
    What the other bytes below 5 mean: script_peer.h."""
    nodes = qmp_answer(b"[" + NODE % 0 + b"," + NODE % 1 + b"]")
    disks = qmp_answer(b"[]") + qmp_answer(b"[" + DISK % (0, 0, 0) + b"," + DISK % (1, 1, 1) + b"]")
    jobs = qmp_answer(b"[" + JOB % (0, b"running") + b"," + JOB % (1, b"concluded") + b"]")
    empty, none = qmp_answer(b"{}"), qmp_answer(b"[]")
    event = b'{"event": "JOB_STATUS_CHANGE", "data": {"status": "created", "id": "vmabak-0123abcd-0"}}\n'
    refusal = b'{"error": {"class": "GenericError", "desc": "No such \\u001b thing"}, "id": \4}\n'
    exports = (qmp_answer(b'[{"node-name": "a", "image": {"virtual-size": 512}}]') + none
               + qmp_answer(b'[{"node-name": "a"}, {"node-name": "a"}, {"id": 4}]'))
    sync = b'\xff{"return": \4}\n'
    for name, what, words in [
            ("status", 1, HELLO + event + qmp_answer(b'{"status": "running"}') + refusal + event),
            ("halves", 0, HELLO[:9] + b"\1" + HELLO[9:] + event[:30] + b"\1" + event[30:] + b"\2" + empty),
            ("long", 1, HELLO + b'{"a": "' + 17 * b"\3" + b'"}\n'), ("longer", 0, HELLO + b'{"a": "\3"}\n' + empty),
            ("deep", 1, HELLO + b'{"return": ' + 3000 * b"[" + 3000 * b"]" + b"}\n" + empty),
            ("silent", 0, b"\2" + HELLO), ("floods", 0, HELLO + b"{}\n" * 40000), ("no-greeting", 1, b"{}\n" + empty),
            ("no-answer", 0, HELLO + b"\2" + empty), ("no-qmp", 1, b"SSH-2.0\n"), ("refuses", 1, HELLO[:-22] + refusal),
            ("machine", 2, HELLO + disks + qmp_answer(b'"/objects/io"') + refusal + 10 * empty),
            ("nameless", 2, HELLO + disks.replace(b"#block0", b"").replace(b"#block1", b"") + 12 * empty),
            ("daemon", 3, HELLO + exports + 12 * empty), ("no-machine", 3, HELLO + none * 13),
            ("jobs", 4, HELLO + jobs + jobs + empty + empty + jobs + jobs + empty + none + nodes + empty + refusal),
            ("jobs-stay", 4, HELLO + jobs * 300), ("no-jobs", 5, HELLO + none + none + none + none),
            ("left", 6, HELLO + nodes + none + none + none + nodes + empty + empty + none),
            ("left-stay", 7, HELLO + (nodes + none * 3 + nodes + empty + empty) * 110),
            ("left-job", 8, HELLO + nodes + jobs * 4 + none * 3 + nodes + empty + empty + none),
            ("left-many", 8, HELLO + nodes.replace(b"abcd-1", b"abcd-65535") + none * 5),
            ("left-place", 9, HELLO + nodes.replace(b"/tmp/vmabak-0123abcd", b"/etc") + none * 5),
            ("agent", 10, sync + b'{"return": 3}\n' + sync + b'{"return": 3}\n'),
            ("agent-late", 11, b'{"return": 1}\n' + sync + b'{"error": {"desc": "no"}}\n{}\n' + sync + b'{"return": 0}\n'),
            ("agent-floods", 10, b"{}\n" * 5000), ("agent-silent", 10, sync + b"\2" + sync + b"\2")]:
        put(folder, "qmp", name, bytes([what]) + words)


def control_clients(folder):
    """Lines; what the bytes 2, 3, 4 and 5 in them mean: fuzz_control.c."""
    backup = b'{"execute": "backup", "drives": %s, "buffer": %d, "spill": %d, "spill_dir": "%s", "wait": %s}\n'
    channel, begin = b'{"execute": "channel"}\n', b'{"execute": "begin"}\n'
    plain, ready = backup % (b"[]", 1 << 24, 0, b"", b"false"), channel + begin + b"\2\2\2"
    give, more = b'\4{"execute": "next"}\n', b'\4\2{"execute": "next", "chunks": [%d]}\n'
    back = b'{"execute": "release", "chunks": [%d]}\n'
    for name, words in [
            ("status", b'{"execute": "status"}\n' * 3), ("stop", b'{"execute": "stop", "force": false}\n'),
            ("stop-at-once", plain + b'\2{"execute": "stop", "force": true}\n'),
            ("backup", plain + ready + give + 4 * (b"\4\2" + give[1:]) + back % 0 + back % 1),
            ("returns", plain + ready + give + more % 0 + more % 1 + more % 0 + more % 1),
            ("two-channels", plain + channel + ready + b"\2" + give * 2 + more % 0 + back % 1),
            ("some", backup % (b'["two"]', 1 << 24, 1 << 20, b"/var/tmp", b"true") + ready + give + 4 * (b"\4\2" + give[1:])),
            ("no-drive", backup % (b'["two", "three"]', 1 << 24, 0, b"", b"true")),
            ("twice", backup % (b'["two", "two"]', 1 << 24, 0, b"", b"true")),
            ("huge", backup % (b"[]", 1 << 52, 0, b"", b"true") + begin), ("small", backup % (b"[]", 1, 0, b"", b"true")),
            ("large", backup % (b"[]", 1 << 40, 0, b"", b"true") + begin), ("spill", backup % (b"[]", 1 << 24, 1 << 62, b"/", b"true")),
            ("no-turn", begin + give), ("begin-twice", plain + begin + begin), ("not-lent", plain + begin + back % 99),
            ("next-first", plain + channel + b"\2\2" + give), ("again", plain + b'\2{"execute": "status"}\n'),
            ("checkpoints", b'{"execute": "checkpoint", "name": "a"}\n\2{"execute": "begin"}\n\2{"execute": "commit"}\n'
             b'\2{"execute": "checkpoints", "drive": 0, "from": 0}\n\2{"execute": "delete-checkpoint", "name": "a"}\n'),
            ("since", plain + channel + b'{"execute": "since", "uuid": "01234567-89ab-cdef-0123-456789abcdef", "tokens": '
             b'["map:0123456789abcdef:1", 5]}\n' + begin + b'\2\2\2\4{"execute": "changes", "drive": 0, "from": 0}\n' + give
             + 4 * (b"\4\2" + give[1:]) + b'\4\2{"execute": "commit", "written_bytes": 7}\n'),
            ("since-twice", plain + b'{"execute": "since"}\n' * 2), ("no-commit", plain + ready + b'\4{"execute": "commit"}\n'),
            ("gone", plain + ready + give * 20), ("channels", plain + channel * 60), ("no-channel", plain + begin + b"\2\2" + give),
            ("wrong-place", plain + ready + b"\4" + begin), ("not-lent-next", plain + ready + b"\4" + more[2:] % 99),
            ("passes", b'\5{"execute": "status"}\n' * 3), ("long", b'{"execute": "\3"}\n'), ("empty", b"\n"),
            ("unknown", b'{"execute": "\xc3\xa4\\u0007"}\n{"execute": 5}\n[]\n'), ("deep", 9000 * b'{"a":' + b"\n")]:
        put(folder, "control", name, words)


def live_servers(folder):
    """The first byte is the size of pieces; what the bytes 2 to 8 in a line mean: fuzz_live.c."""
    drives = b'[{"name": "one", "path": "/a", "size_bytes": 262144}, {"name": "two", "size_bytes": 40000000}]'
    plan = b'{"return": {"drives": %s, "n_chunks": %d}}\n'
    begun = b'{"return": {"quiesce_ns": 5}}\n'
    good = b"\5" + plan % (drives, 4) + b'\4{"return": {}}\n' + begun
    chunk = b'\2\10{"chunk": %d, "data": %s, "zeros": %s}\n'
    done = b'\2\10{"done": {"n_clusters": 5}}\n'
    error = b'{"error": {"code": "full", "message": "no room \\u001b"}}\n'
    for name, size, words in [
            ("good", 6, good + chunk % (0, b"[[0,0,4],[1,7,1]]", b"[[1,0,7],[1,8,500]]") + chunk % (1, b"[[1,600,5]]", b"[]") + done),
            ("pieces", 2, good + chunk % (3, b"[[0,0,4],[1,7,60]]", b"[[1,0,7]]") + chunk % (2, b"[]", b"[[1,0,7]]") + done),
            ("same-chunk", 1, good + 2 * (chunk % (0, b"[[1,7,60]]", b"[]")) + done), ("hangs-up", 6, good + chunk % (0, b"[]", b"[]")),
            ("too-many", 0, good + chunk % (0, b"[[0,0,4],[1,7,61]]", b"[]")), ("past-end", 0, good + chunk % (0, b"[[0,4,1]]", b"[]")),
            ("wraps", 0, good + chunk % (0, b"[[1,8,9223372036854775807]]", b"[]")), ("no-drive", 0, good + chunk % (0, b"[[2,0,1]]", b"[]")),
            ("no-chunk", 0, good + chunk % (4, b"[]", b"[]")), ("nothing", 0, good + chunk % (0, b"[[0,0,0]]", b"[]")),
            ("fails", 6, good + chunk % (0, b"[[0,0,4]]", b"[]") + error), ("refuses", 6, error), ("long", 6, good + b"\2\3\n"),
            ("shrinks", 6, b"\6" + plan % (drives, 4)), ("small", 6, b"\7" + plan % (drives, 4)), ("none", 6, plan % (drives, 4)),
            ("more-chunks", 6, b"\5" + plan % (drives, 5)), ("huge", 6, b"\5" + plan % (drives, 1 << 62)), ("no-json", 6, b"\5x\n"),
            ("large", 6, good.replace(b"262144", b"4611686018427387904") + chunk % (0, b"[]", b"[[0,5,70368744177659]]") + done),
            ("changed", 134, good[:-len(begun)] + b'\2{"return": {"drives": [{"known": true}, {"known": false, "why": "no"}]}}\n'
             + begun + b'\2\10{"return": {"runs": [1, 2], "next": 3}}\n\2\10{"return": {"runs": [0, 1], "next": 4}}\n'
             + chunk % (0, b"[[0,1,3],[1,7,1]]", b"[[1,0,7],[1,8,500]]") + done + b'\2\10{"return": {}}\n'),
            ("changed-past-end", 134, good[:-len(begun)] + b'\2{"return": {"drives": [{"known": true}]}}\n' + begun
             + b'\2\10{"return": {"runs": [1, 9], "next": 4}}\n'),
            ("changed-stands-still", 134, good[:-len(begun)] + b'\2{"return": {"drives": [{"known": true}]}}\n' + begun
             + b'\2\10{"return": {"runs": [], "next": 0}}\n'),
            ("bare", 6, good.replace(b"\4", b"")), ("no-socket", 6, good.replace(b"\4", b"\5") + chunk % (0, b"[]", b"[]")),
            ("wrong-way", 6, good + (chunk % (0, b"[]", b"[]")).replace(b"\10", b"") + done), ("unasked", 6, good + error + done),
            ("done-first", 6, b"\5" + plan % (drives, 4) + done), ("no-drives", 6, b"\5" + plan % (b"[]", 4)), ("gone", 6, b"")]:
        put(folder, "live", name, bytes([size]) + words)


def definitions(folder):
    with open(os.path.join(os.path.dirname(HERE), "cli", "hostile-domain.xml"), "rb") as file:
        put(folder, "definition", "hostile", file.read())
    put(folder, "definition", "plain", b"<domain type='kvm'><name>a</name><os><type>hvm</type><nvram>/x</nvram></os><devices>"
        b"<disk type='file' device='disk'><source file='/x'/><target dev='vda'/></disk><tpm><backend type='emulator'>"
        b"<source type='file' path='/x'/></backend></tpm></devices></domain><?vmabak-drive root=vda?>")


LISTS = ("own nbdinfo nbdinfo-text depth overlay thin era rbd-json rbd-diff zfs dm-snapshot btrfs xen bitmap-lsb bitmap-msb "
         "vmware csi ddrescue fidx bmap").split()


def lists(folder):
    """The texts of tests/changes; what is said of them: fuzz_changes.c."""
    for sample in samples.load_all():
        form, block, older = sample.option("format"), sample.option("block") or "0", sample.older or b""
        said = struct.pack("<BQIB7sI", LISTS.index(form) + 1 if form in LISTS else 0, sample.size or (1 << 63) - 1,
                           int(block.replace("K", "")) << (10 if block.endswith("K") else 0), len(sample.list) % 3 * 100,
                           int(sample.option("object") or 0).to_bytes(7, "little"), len(older))
        put(folder, "changes", sample.name, said + older + sample.list)


def chains(folder):
    """Archives with their parents behind them, of even and of odd size; and one of a server that lies in the first ways."""
    def build(text):
        return images.Image(text).build()
    golden, child = (images.load(os.path.join(IMAGES, f"good-golden-vmab{end}.txt")).build() for end in ("", "-incremental"))
    head = "format vmab\nuuid %s\nparent %s\ndrive disk0 640K\n"
    zero, first, second, third = ("%032x" % number for number in range(4))
    full = build(head % (first, zero) + "extent zstd\ntimes 10 data disk0 {} fill 6{}\n")
    middle = build(head % (second, first) + "extent\ndata disk0 4 text middle\nzeros disk0 5 2\n")
    newest = build(head % (third, second) + "extent zstd\ndata disk0 4 fill 70\ndata disk0 6 text newest and at 65000 hex ff\n")
    for name, parts in [("golden", (child, golden)), ("three", (newest, middle, full)), ("gap", (newest, full)),
                        ("order", (newest, full, middle)), ("twice", (middle, full, newest, full))]:
        put(folder, "view", f"chain-{name}", b"".join(parts))
        put(folder, "view", f"chain-{name}-found", b"".join(parts) + b"\0")
    for lie in range(15):
        for before in range(5):
            put(folder, "web_view", f"lie-{lie}-{before}", full + bytes(before) + bytes([lie, before + 1]))


def main():
    folder = sys.argv[1]
    lists(folder)
    definitions(folder)
    live_servers(folder)
    control_clients(folder)
    qmp_peers(folder)
    maps(folder)
    moves(folder)
    sums(folder)
    qcow2(folder)
    nbd_clients(folder)
    chains(folder)
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
        if not wrapped:
            put(folder, "view", name, data)
            put(folder, "web_view", name, data + b"\0")
        if not wrapped:
            put(folder, "salvage", name, data)
        if not wrapped and len(data) >= 512:
            cut_up(folder, name, data)
    for number, text in enumerate(OPTIONS):
        put(folder, "options", str(number), text.encode())


if __name__ == "__main__":
    main()
