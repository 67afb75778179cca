#!/usr/bin/python3
"""usage: restore.py ARCHIVE|- DIR       restores drives as DIR/NAME.raw, configs as DIR/NAME
       restore.py --list ARCHIVE|-    says what is in it

Reads the archives of spec/vmab.md and spec/vma1.md, also inside zstd, gzip, xz or bzip2, and was
written from these two pages alone: the proof that they suffice, and a last resort. Files get their
names when all of the archive was read and found whole; until then, and after a failure, they are
NAME.part. Exit: 0 done, 1 failed, 3 done, but the archive is incremental, and the drives have
holes where they are as in its parent, 4 the archive is damaged or incomplete."""
import bz2, hashlib, lzma, os, re, struct, sys, zlib
import xxhash, zstandard

BLOCK, CLUSTER, MIB = 4096, 65536, 1 << 20
FILTERS = {b"\x28\xb5\x2f\xfd": lambda: zstandard.ZstdDecompressor().decompressobj(),
           b"\x1f\x8b": lambda: zlib.decompressobj(31), b"BZh": bz2.BZ2Decompressor,
           b"\xfd7zXZ\0": lzma.LZMADecompressor}
XXH128, XXH64 = xxhash.xxh3_128_digest, xxhash.xxh3_64_digest


class Bad(Exception):
    def __init__(self, position, text, status=4):
        super().__init__((f"byte {position}: " if position is not None else "") + text)
        self.status = status


def need(condition, position, text, status=4):
    if not condition:
        raise Bad(position, text, status)


def units(n, size):  # of this size, to hold n bytes
    return -(-n // size)


def unwrapped(file):
    """The archive in pieces, without the compression around it."""
    data, decoder, fed = file.read(8), None, 0
    make = next((make for magic, make in FILTERS.items() if data.startswith(magic)), None)
    while data:
        if not make:
            yield data
        elif decoder or data.strip(b"\0"):  # zeros after a stream are padding
            decoder = decoder or make()
            try:
                yield decoder.decompress(data)
            except (zstandard.ZstdError, zlib.error, lzma.LZMAError, OSError) as error:
                raise Bad(None, f"compression around it damaged near byte {fed}: {error}") from None
        fed += len(data)
        ended = decoder and decoder.eof
        data = ended and decoder.unused_data or file.read(4096 if make else MIB)
        decoder = None if ended else decoder
    need(decoder is None, None, f"incomplete: the compression around it ends early, at byte {fed}")


class Stream:
    def __init__(self, file):
        self.pieces, self.rest, self.at = unwrapped(file), b"", 0

    def read_some(self, size):  # fewer only at the end
        parts, got = [self.rest[:size]], min(size, len(self.rest))
        self.rest = self.rest[size:]
        while got < size and (piece := next(self.pieces, None)) is not None:
            parts.append(piece[:size - got])
            self.rest = piece[size - got:]
            got += len(parts[-1])
        self.at += got
        return b"".join(parts)

    def read(self, size):
        data = self.read_some(size)
        need(len(data) == size, self.at, "incomplete: the archive ends here, before its end")
        return data

    def read_padding(self, n_zeros):
        while data := self.read_some(512):
            n_zeros += len(data)
            need(not any(data), self.at - len(data), "not zero, after the end of the archive")
            need(n_zeros <= 16 * MIB, self.at - len(data), "too many zeros after the end")


class Vmab:  # spec/vmab.md
    digest = staticmethod(XXH128)

    def __init__(self, stream, first):  # section 4
        self.stream, self.drives, self.configs, seen = stream, [], [], set()
        _, version, size, required, _, self.uuid, self.parent, instant, records = \
            struct.unpack_from("<8sIIQQ16s16sqI", first)
        need(size % 512 == 0 and 512 <= size <= 16 * MIB, 0x0c, f"head of {size} bytes")
        self.head = head = first + stream.read(size - 512)
        need(XXH128(head[:0x70] + head[0x80:]) == head[0x70:0x80], 0x70, "head damaged")
        need(version == 1, 0x08, f"version {version} is not supported", 1)
        need(required == 0, 0x10, f"features {required:#x} are not supported", 1)
        need(any(self.uuid), 0x20, "uuid is zero")
        need(not any(head[0x4c:0x70]), 0x4c, "reserved bytes are not zero")
        need(records <= size - 128, 0x48, "records larger than the head")
        at, end, self.time = 0x80, 0x80 + records, instant // 10**9
        while at < end:
            need(at + 8 <= end, at, "record longer than the records")
            kind, zero, length = struct.unpack_from("<HHI", head, at)
            value, next_at = head[at + 8:at + 8 + length], at + 8 + 8 * units(length, 8)
            need(next_at <= end, at, "record longer than the records")
            need(not zero and not any(head[at + 8 + length:next_at]), at, "padding or reserved bytes not zero")
            self.add_record(at, kind, value, seen)
            at = next_at
        need(not any(head[end:]), end, "padding of the head is not zero")

    def add_record(self, at, kind, value, seen):  # section 4.1
        if kind >= 0x8000:
            return
        need(1 <= kind <= 5, at, f"record type {kind} is not supported", 1)
        zero, name, key = [], value, kind
        if kind == 1:
            size, *zero = struct.unpack_from("<QQ", value.ljust(16))
            need(size < 1 << 63 and len(self.drives) < 65535, at, "drive too large, or too many")
            self.drives.append((name := value[16:], size))
        if kind == 2:
            length, *zero = struct.unpack_from("<HHI", value.ljust(8))
            name, data = value[8:8 + length], value[8 + length:]
            need(len(name) == length and len(self.configs) < 65535, at, "bad config, or too many")
            self.configs.append((name, data))
        key = (kind, name) if kind <= 2 else kind
        need(not any(zero), at, "reserved bytes of a record are not zero")
        need(key not in seen, at, f"second record of type {kind}" + " with this name" * (kind <= 2))
        need(kind == 3 or 1 <= len(name) <= 255 and b"\0" not in name, at, "bad name")
        seen.add(key)

    def read_section(self, number, last_index):  # section 5
        at, first = self.stream.at, self.stream.read(512)
        magic, uuid, sequence, position, previous, kind, codec, n, raw, stored, checksum = \
            struct.unpack_from("<8s16sQQQHHIII16s", first)
        need(magic == b"VMABSECT" and n <= 1024, at, "no section here")
        head = first + self.stream.read(512 * units(128 + 32 * n, 512) - 512)
        need(XXH128(head[:0x70] + head[0x80:]) == head[0x70:0x80], at, "section header damaged")
        need(uuid == self.uuid, at, "section of another archive")
        need((sequence, position, previous) == (number, at, last_index), at,
             f"section {sequence} of byte {position} in place of section {number}")
        need(not any(head[0x50:0x70]), at, "reserved bytes are not zero")
        need(kind == 4 or not any(head[128 + 32 * n:]), at, "padding is not zero")
        need(1 <= kind <= 4 or kind >= 0x8000, at, f"section kind {kind} is not supported", 1)
        need(codec <= 1 or kind >= 0x8000, at, f"codec {codec} is not supported", 1)
        need(raw <= 4 * MIB and stored <= 4 * MIB, at, "payload too large")
        if kind < 0x8000:
            need(kind == 1 and stored < raw if codec else stored == raw, at, "bad codec or sizes")
            need((n > 0) == (kind == 1) and (kind < 4 or not raw), at, "bad slots or payload")
        payload = self.stream.read(512 * units(stored, 512))
        need(XXH128(payload) == checksum, at, "payload damaged")
        need(not any(payload[stored:]), at, "padding of the payload is not zero")
        return kind, head, n, inflate(at, payload[:stored], raw) if codec and kind == 1 else payload[:stored]

    def read_slots(self, at, slots):  # section 5.1
        for cluster, drive, kind, mask, checksum in struct.iter_unpack("<QIHH16s", slots):
            count, zero = struct.unpack("<QQ", checksum) if kind == 2 else (1, 0)
            need(drive < len(self.drives), at, f"no drive {drive}")
            need(kind == 1 and mask or kind == 2 and not mask and count and not zero, at, "bad slot")
            left = max(0, self.drives[drive][1] - cluster * CLUSTER)
            need(count <= units(left, CLUSTER) and not mask >> units(left, BLOCK), at,
                 f"cluster {cluster} of drive {drive} reaches past its end")
            yield drive, cluster, count, mask, checksum

    def extents(self):
        """Position, slots and blocks of each. Checks all else on the way."""
        seen, index, copy, last_index, copy_at = [], [], b"", 0, 0
        number = n_data = n_zero = raw_size = kind = 0
        while kind != 4:
            at = self.stream.at
            kind, head, n, payload = self.read_section(number, last_index)
            number += 1
            need(kind >= 3 if copy_at else True, at, "section after the head copy")
            need(kind not in (3, 4) or not index, at, "the index is missing")
            if kind == 1:
                slots = list(self.read_slots(at, head[128:128 + 32 * n]))
                n_blocks = sum(mask.bit_count() for _, _, _, mask, _ in slots)
                need(len(payload) == BLOCK * n_blocks, at, "payload and masks differ")
                index += runs_of(at, slots)
                n_data += sum(1 for slot in slots if slot[3])
                n_zero += sum(slot[2] for slot in slots if not slot[3])
                raw_size += len(payload)
                yield at, slots, payload, [slot[4] for slot in slots if slot[3]]
            elif kind == 2:  # section 5.3
                entries = [struct.pack("<QQQQ", first, n, where, drive) for drive, first, n, where in index]
                need(1 <= len(entries) <= 32768, at, "index of nothing, or too large")
                need(b"".join(entries) == payload, at, "index and extents differ")
                seen += index
                index, last_index = [], at
            elif kind == 3:  # section 5.4
                need(payload and payload == self.head[len(copy):][:4 * MIB], at, "head copy differs")
                copy, copy_at = copy + payload, copy_at or at
        totals = struct.pack("<6Q", self.stream.at, number, n_data, n_zero, raw_size, copy_at)
        need(copy == self.head, at, "head copy missing")
        need(head[128:] == totals.ljust(384, b"\0"), at, "numbers in the tail differ")
        check_cover(at, seen, self.drives, any(self.parent))
        self.stream.read_padding(0)


def inflate(at, payload, raw):  # one frame, in small steps, for what it says is not to be trusted
    try:
        frame, decoder = zstandard.get_frame_parameters(payload), zstandard.ZstdDecompressor().decompressobj()
        fine = frame.content_size == raw and not frame.dict_id and payload[:4] == b"\x28\xb5\x2f\xfd"
        data, used = bytearray(), 0
        while fine and used < len(payload) and len(data) <= raw and not decoder.eof:
            data += decoder.decompress(payload[used:used + 4096])
            used += 4096
        fine = fine and decoder.eof and used >= len(payload) and not decoder.unused_data
    except zstandard.ZstdError as error:
        raise Bad(at, f"frame damaged: {error}") from None
    need(fine and len(data) == raw, at, "not exactly one frame of the size stated")
    return data


class Vma1:  # spec/vma1.md
    parent = bytes(16)

    def __init__(self, stream, first):  # section 2
        self.stream, self.drives, self.configs, self.device = stream, [], [], {}
        _, version, self.uuid, self.time, md5, blobs, n, size, marker = \
            struct.unpack_from(">4sI16sq16sIII16s", first)
        need(size > 12288, 56, f"header of {size} bytes")
        need(size <= MIB, 56, f"header of {size} bytes is not supported", 1)
        head = first + stream.read(size - 512)
        need(hashlib.md5(head[:32] + bytes(16) + head[48:]).digest() == md5, 32, "header damaged")
        need(version == 1, 4, f"version {version} is not supported", 1)
        need(blobs >= 12288, 48, f"blob buffer at byte {blobs}")
        need(blobs + n <= size, 52, "blob buffer larger than the header")
        self.digest = XXH64 if marker == b"VMABAK-XXH3-64\0\1" else None
        buffer, at, blob = head[blobs:blobs + n], 1, {}
        while at + 2 <= n:
            length = int.from_bytes(buffer[at:at + 2], "little")
            if at + 2 + length <= n:
                blob[at] = buffer[at + 2:at + 2 + length]
            at += 2 + length
        for i, (name, data) in enumerate(zip(*(struct.unpack_from(">256I", head, at) for at in (2044, 3068)))):
            if name and data:
                fine = blob.get(name, b"").endswith(b"\0") and data in blob
                need(fine, 2044 + 4 * i, "name or data of a config is nowhere")
                self.configs.append((blob[name][:-1], blob[data]))
        for i, (name, size) in enumerate(struct.iter_unpack(">I4xQ16x", head[4096:12288])):
            if i and size:
                need(blob.get(name, b"").endswith(b"\0"), 4096 + 32 * i, "name of a drive is nowhere")
                self.device[i] = len(self.drives)
                self.drives.append((blob[name][:-1], size))

    def read_slots(self, at, head):  # sections 3 and 5: the used slots, the bytes of the others
        slots, free = [], b""
        for i in range(40, 512, 8):
            mask, _, device, cluster = struct.unpack_from(">HBBI", head, i)
            if device == 0:
                free += head[i:i + 3] + head[i + 4:i + 8]
                continue
            need(device in self.device, at, f"no device {device}")
            drive = self.device[device]
            left = self.drives[drive][1] - cluster * CLUSTER
            lenient = mask == 0xffff and not self.digest
            need(left > 0 and (lenient or not mask >> units(left, BLOCK)), at,
                 f"cluster {cluster} of device {device} reaches past its end")
            slots.append((drive, cluster, 1, mask, None))
        return slots, free

    def extents(self):
        seen = []
        while head := self.stream.read_some(512):
            at = self.stream.at - len(head)
            need(len(head) == 512, self.stream.at, "incomplete: the archive ends in the middle of an extent")
            if not any(head):  # section 6
                self.stream.read_padding(512)
                break
            magic, reserved, n_blocks, uuid, md5 = struct.unpack_from(">4sHH16s16s", head)
            need(magic == b"VMAE", at, "no extent here")
            need(hashlib.md5(head[:24] + bytes(16) + head[40:]).digest() == md5, at, "extent header damaged")
            need(uuid == self.uuid and not reserved, at, "extent of another archive, or reserved not zero")
            slots, free = self.read_slots(at, head)
            need(n_blocks == sum(mask.bit_count() for _, _, _, mask, _ in slots), at, "blocks and masks differ")
            n = 8 * sum(1 for slot in slots if slot[3]) if self.digest else 0
            need(not self.digest or n <= len(free) and not any(free[n:]), at, "bad checksums in unused slots")
            seen += runs_of(at, slots)
            yield at, slots, self.stream.read(BLOCK * n_blocks), [free[i:i + 8] for i in range(0, n, 8)]
        check_cover(self.stream.at, seen, self.drives, False)


def runs_of(at, slots):
    runs = []
    for drive, cluster, count, _, _ in slots:
        if runs and runs[-1][0] == drive and runs[-1][1] + runs[-1][2] == cluster:
            runs[-1][2] += count
        else:
            runs.append([drive, cluster, count, at])
    return runs


def check_cover(end, runs, drives, incremental):
    """Each cluster once: the runs of each drive, sorted, leave no gap and do not overlap."""
    seen, last_at = [0] * len(drives), 0
    for drive, first, count, at in sorted(runs) + [[i, units(d[1], CLUSTER), 0, 0] for i, d in enumerate(drives)]:
        need(first >= seen[drive], max(at, last_at), f"cluster {first} of drive {drive} twice")
        need(first == seen[drive] or incremental, end, f"incomplete: no cluster {seen[drive]} of drive {drive}")
        seen[drive], last_at = first + count, at


def restore_drives(archive, files):
    for at, slots, blocks, checksums in archive.extents():
        checksums, blocks, used = iter(checksums), memoryview(blocks), 0
        for drive, cluster, _, mask, _ in (slot for slot in slots if slot[3]):
            data = blocks[used:used + BLOCK * mask.bit_count()]
            used += len(data)
            if mask != 0xffff:
                stored = (data[i:i + BLOCK] for i in range(0, len(data), BLOCK))
                data = b"".join(next(stored) if mask >> j & 1 else bytes(BLOCK) for j in range(16))
            if archive.digest:
                need(archive.digest(data) == next(checksums), at, f"cluster {cluster} of drive {drive} damaged")
            data = data[:archive.drives[drive][1] - cluster * CLUSTER]
            done = os.pwrite(files[drive], data, cluster * CLUSTER)
            need(done == len(data), None, f"drive {drive} could not be written, is the disk full?", 1)


def restore(archive, folder):
    names = [name + b".raw" for name, _ in archive.drives] + [name for name, _ in archive.configs]
    for name in names:
        need(re.fullmatch(rb"[A-Za-z0-9_][A-Za-z0-9._+@%:=-]*", name), None, f"not a safe name: {name!r}", 1)
        need(len(set(names)) == len(names) and name + b".part" not in names, None, f"names collide: {name!r}", 1)
    os.makedirs(folder, exist_ok=True)
    paths, files = [os.path.join(os.fsencode(folder), name) for name in names], []
    for path in paths:
        need(not os.path.lexists(path), None, f"exists already: {path!r}", 1)
        files.append(os.open(path + b".part", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
    for file, (_, size) in zip(files, archive.drives):
        os.ftruncate(file, size)
    for file, (_, data) in zip(files[len(archive.drives):], archive.configs):
        with open(file, "wb", closefd=False) as config:
            config.write(data)
    restore_drives(archive, files)
    for file in files:
        os.fsync(file)
    for path in paths:
        need(not os.path.lexists(path), None, f"exists already: {path!r}", 1)
        os.rename(path + b".part", path)


def print_list(archive):
    print(f"{type(archive).__name__} {archive.uuid.hex()}, {archive.time} s after 1970 began")
    for name, data in archive.configs:
        print("config", len(data), ascii(name)[1:])
    for name, size in archive.drives:
        print("drive", size, ascii(name)[1:])


def main(arguments):
    if len(arguments) != 2 or arguments[1] == "--list":
        sys.exit(__doc__.split("\n\n")[0])
    listing = arguments[0] == "--list"
    name, folder = reversed(arguments) if listing else arguments
    try:
        stream = Stream(sys.stdin.buffer if name == "-" else open(name, "rb"))
        first = stream.read(512)
        formats = {b"\x89VMB\r\n\x1a\n": Vmab, b"VMA\0": Vma1}
        make = next((make for magic, make in formats.items() if first.startswith(magic)), None)
        need(make, 0, "neither a VMAB nor a VMA archive")
        archive = make(stream, first)
        print_list(archive) if listing else restore(archive, folder)
    except (Bad, OSError) as error:
        print(f"restore.py: {name}: {error}", file=sys.stderr)
        return getattr(error, "status", 1)
    if any(archive.parent):
        print(f"restore.py: {name}: incremental, its parent is {archive.parent.hex()}", file=sys.stderr)
        return 0 if listing else 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
