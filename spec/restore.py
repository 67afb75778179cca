#!/usr/bin/python3
"""usage: restore.py ARCHIVE|- [PARENT]... DIR    restores drives as DIR/NAME.raw, configs as DIR/NAME
       restore.py --list ARCHIVE|-            says which files that would give, and their sizes

Parents of an incremental archive come after it, each before its own. Reads the archives of spec/vmab.md and spec/vma1.md, also inside zstd, gzip, xz or bzip2. Files are
NAME.part until all of the archive was read and found whole. Exit: 0 done, 1 failed, 3 done, but
with holes where an incremental archive is as its parent, 4 the archive is damaged or incomplete."""
import bisect, bz2, hashlib, lzma, os, re, struct, sys, xxhash, zlib, zstandard

BLOCK, CLUSTER, MIB = 4096, 65536, 1 << 20
XXH128, XXH64, MD5 = xxhash.xxh3_128_digest, xxhash.xxh3_64_digest, hashlib.md5
DECODERS = {b"\x28\xb5\x2f\xfd": lambda: zstandard.ZstdDecompressor().decompressobj(),
            b"\x1f\x8b": lambda: zlib.decompressobj(31), b"BZh": bz2.BZ2Decompressor,
            b"\xfd7zXZ\0": lzma.LZMADecompressor}
is_name = re.compile(rb"[^\0]{1,255}").fullmatch
is_safe = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._+@%:=-]*").fullmatch

class Bad(Exception): pass  # arguments: what is wrong, exit code

def need(condition, text, exit_code=4):
    if not condition:
        raise Bad(text, exit_code)

class Tape:  # the volumes of spec/tape.md one after another in a file, without their marks
    def __init__(self, file, label):
        self.file, self.set, self.size, self.number, self.kind = file, label[0x10:0x20], 0, 0, 2
        self.place, self.ahead = 0, b""
        self.take_mark(label)
        file.read(self.size - 512)

    def take_mark(self, mark):
        _, version, kind, _, _, number, self.size, place, _, zeros, _ = struct.unpack_from("<8sII16s16sIIQq424s16s", mark)
        need(version == 1 and not any(zeros), "label of a tape of another version", 1)
        need(place == self.place, f"tape: {self.place} bytes come before a mark for {place}")
        self.number += kind == 1 and self.kind == 2
        need(number == self.number, f"tape: volume {number}, where volume {self.number} is wanted")
        self.kind = kind

    def read(self, size):
        while not self.ahead:
            record = self.file.read(self.size)
            if not record:
                need(self.kind == 3, f"tape: volume {self.number + 1} is missing")
                return b""
            if record[:8] == b"\x89VMT\r\n\x1a\n" and record[0x10:0x20] == self.set and XXH128(record[:0x1f0]) == record[0x1f0:0x200]:
                self.take_mark(record)
            else:
                self.ahead, self.place = record, self.place + len(record)
        data, self.ahead = self.ahead[:size], self.ahead[size:]
        return data

def unwrapped(name):  # yields the archive in pieces, without the compression around it
    file = sys.stdin.buffer if name == "-" else open(name, "rb")
    data, decoder = file.read(8), None
    if data == b"\x89VMT\r\n\x1a\n":
        file = Tape(file, data + file.read(504))
        data = file.read(8)
    make = next((make for magic, make in DECODERS.items() if data.startswith(magic)), None)
    while data:
        if not make:
            yield data
        elif decoder or any(data):  # zeros after a compressed stream are padding
            decoder = decoder or make()
            yield decoder.decompress(data)
        ended = decoder and decoder.eof  # another may follow
        data = ended and decoder.unused_data or file.read(4096 if make else MIB)
        decoder = None if ended else decoder
    need(not decoder, "incomplete: the compression around the archive ends early")

def inflated(payload, raw_size):
    need(zstandard.frame_content_size(payload) == raw_size > len(payload), "frame of another size")
    return zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)

class Archive:  # runs: [place, drive, first cluster, count]; slots: those of an extent with data
    def __init__(self, name):  # place: where the part at hand begins, for messages
        self.name, self.pieces, self.ahead, self.at, self.place = name, unwrapped(name), bytearray(), 0, 0
        self.drives, self.configs, self.runs, self.parent = {}, [], [], bytes(16)

    def read(self, size, or_less=False):
        while len(self.ahead) < size and (piece := next(self.pieces, None)) is not None:
            self.ahead += piece
        data = bytes(memoryview(self.ahead)[:size])
        del self.ahead[:size]
        self.at += len(data)
        need(or_less or len(data) == size, "incomplete: the archive ends in this part")
        return data

    def read_head(self):
        Archive.at_hand = self
        head = self.read(512)
        vma = head.startswith(b"VMA\0")
        need(vma or head.startswith(b"\x89VMB\r\n\x1a\n"), "neither a VMAB nor a VMA archive")
        self.extents = self.vma_extents if vma else self.vmab_extents
        self.read_vma_head(head) if vma else self.read_vmab_head(head)

    def read_vmab_head(self, head):  # spec/vmab.md, section 4
        (_, version, size, features, _, self.uuid, self.parent, _, n, zeros,
         checksum) = struct.unpack_from("<8sIIQQ16s16sqI36s16s", head)
        need(size % 512 == 0 and 512 <= size <= 16 * MIB, "bad size of the head")
        self.digest, self.head = XXH128, (head := head + self.read(size - 512))
        need(XXH128(head[:0x70] + head[0x80:]) == checksum, "head damaged")
        need(version == 1 and not features, "version or features are not supported", 1)
        need(any(self.uuid) and n <= size - 128 and not any(zeros + head[128 + n:]), "bad head")
        at, texts = 128, []
        while at < 128 + n:  # section 4.1
            self.place, (kind, zeros, length) = at, struct.unpack_from("<H2sI", head, at)
            value, padding = head[at + 8:at + 8 + length], -length % 8
            at += 8 + length + padding
            need(at <= 128 + n and not any(zeros + head[at - padding:at]), "bad record")
            need(1 <= kind <= 5 or kind >= 0x8000, f"record type {kind} is not supported", 1)
            if kind == 1:
                (size, zeros), name = struct.unpack_from("<Q8s", value.ljust(16)), value[16:]
                need(size < 1 << 63 and is_name(name) and not any(zeros), "bad drive")
                self.drives[len(self.drives)] = name, size
            elif kind == 2:
                (size, zeros), data = struct.unpack_from("<H6s", value.ljust(8)), value[8:]
                need(size <= len(data) and is_name(data[:size]) and not any(zeros), "bad config")
                self.configs.append((data[:size], data[size:]))
            elif kind <= 5:
                need(kind not in texts and (kind == 3 or is_name(value)), "bad or second text")
                texts.append(kind)
        need(max(len(self.drives), len(self.configs)) <= 65535, "too many drives or configs")

    def vmab_extents(self):  # section 5; yields the blocks of each extent
        kind = number = index_at = indexed = copied = copy_at = n_data = n_raw = 0
        while kind != 4:
            self.place, self.slots, self.n_blocks, head = self.at, [], 0, self.read(128)
            kind, codec, n_slots, raw_size, size, checksum = struct.unpack("<HHIII16s", head[48:80])
            wanted = struct.pack("<8s16s3QHHIII16s32x", b"VMABSECT", self.uuid, number, self.place,
                                 index_at, kind, codec, n_slots, raw_size, size, checksum)
            need(head[:112] == wanted, "not a section, or not the one that should be here")
            need(n_slots <= 1024 and max(raw_size, size) <= 4 * MIB, "section too large")
            slots, rest = self.read(32 * n_slots), self.read(-(128 + 32 * n_slots) % 512)
            need(XXH128(wanted + slots + rest) == head[112:], "section header damaged")
            need(kind >= 0x8000 or 1 <= kind <= 4 and codec <= 1, "section not supported", 1)
            fits = (n_slots > 0) == (kind == 1) and (kind == 1 if codec else size == raw_size)
            need(kind >= 0x8000 or fits and (kind < 4 or size == 0), "bad codec, slots or sizes")
            payload, padding = self.read(size), self.read(-size % 512)
            zeros = padding if kind == 4 else padding + rest
            need(XXH128(payload + padding) == checksum and not any(zeros), "payload damaged")
            number += 1
            if kind == 1:  # section 5.1
                for first, drive, slot_kind, mask, value in struct.iter_unpack("<QIHH16s", slots):
                    count, zero = (1, 0) if mask else struct.unpack("<QQ", value)
                    need(slot_kind == (1 if mask else 2) and not zero and not copied, "bad slot")
                    self.add_slot(drive, first, count, mask, value)
                need(raw_size == BLOCK * self.n_blocks, "raw size and masks differ")
                n_data, n_raw = n_data + len(self.slots), n_raw + raw_size
                yield inflated(payload, raw_size) if codec else payload
            elif kind == 2:  # section 5.3
                entries = [struct.pack("<4Q", first, count, place, drive)
                           for place, drive, first, count in self.runs[indexed:]]
                need(1 <= len(entries) <= 32768 and payload == b"".join(entries), "bad index")
                indexed, index_at = len(self.runs), self.place
            elif kind == 3:  # section 5.4
                fits = payload == self.head[copied:copied + 4 * MIB] and indexed == len(self.runs)
                need(payload and fits, "bad head copy, or index missing")
                copied, copy_at = copied + size, copy_at or self.place
        n_zero = sum(run[3] for run in self.runs) - n_data  # section 5.5
        totals = struct.pack("<6Q336x", self.at, number, n_data, n_zero, n_raw, copy_at)
        need(copied == len(self.head) and rest == totals, "bad tail, or head copy missing")
        self.place = self.at

    def read_vma_head(self, head):  # spec/vma1.md, section 2
        (_, version, self.uuid, _, checksum, blobs_at, blobs_size, size,
         marker) = struct.unpack_from(">4sI16sq16sIII16s", head)
        need(size > 12288, "bad size of the header")
        need(size <= MIB, f"header of {size} bytes is not supported", 1)
        head += self.read(size - 512)
        need(MD5(head[:32] + bytes(16) + head[48:]).digest() == checksum, "header damaged")
        need(version == 1, f"version {version} is not supported", 1)
        need(blobs_at >= 12288 and blobs_at + blobs_size <= size, "blobs outside the header")
        self.digest = XXH64 if marker == b"VMABAK-XXH3-64\0\1" else None
        buffer, blobs, at = head[blobs_at:blobs_at + blobs_size], {}, 1
        while (end := at + 2 + int.from_bytes(buffer[at:at + 2], "little")) <= blobs_size:
            blobs[at] = buffer[at + 2:end]
            at = end
        names = {at: blob[:-1] for at, blob in blobs.items() if blob.endswith(b"\0")}
        pointers = struct.unpack_from(">512I", head, 2044)
        for name, data in zip(pointers[:256], pointers[256:]):
            if name and data:
                need(is_name(names.get(name, b"")) and data in blobs, "config without name or data")
                self.configs.append((names[name], blobs[data]))
        for device, (name, size) in enumerate(struct.iter_unpack(">I4xQ16x", head[4096:12288])):
            if device and size:
                need(is_name(names.get(name, b"")) and size <= CLUSTER << 32, "bad drive")
                self.drives[device] = names[name], size

    def vma_extents(self):  # sections 3 and 5; yields the blocks of each extent
        while head := self.read(512, or_less=True):
            self.place, self.slots, self.n_blocks = self.at - len(head), [], 0
            need(len(head) == 512, "incomplete: the archive ends in an extent")
            if not any(head):  # section 6
                break
            magic, n_blocks, uuid, checksum = struct.unpack_from(">6sH16s16s", head)
            need(magic == b"VMAE\0\0" and uuid == self.uuid, "no extent of this archive")
            need(MD5(head[:24] + bytes(16) + head[40:]).digest() == checksum, "extent damaged")
            slots = list(struct.iter_unpack(">HBBI", head[40:]))
            free = b"".join(struct.pack(">HBI", mask, zero, cluster)
                            for mask, zero, device, cluster in slots if device == 0)
            for mask, _, device, cluster in slots:
                if device:
                    self.add_slot(device, cluster, 1, mask, free[:8])
                    free = free[8:] if mask else free
            need(not self.digest or not any(free), "bytes after the checksums")
            need(n_blocks == self.n_blocks, "number of blocks and masks differ")
            yield self.read(BLOCK * n_blocks)

    def add_slot(self, drive, first, count, mask, checksum):
        left = self.drives[drive][1] - first * CLUSTER if drive in self.drives else 0
        need(1 <= count <= -(-left // CLUSTER), f"drive {drive} has no cluster {first}")
        fits = not mask >> -(-left // BLOCK) or mask == 0xffff and not self.digest
        need(fits, f"cluster {first} has blocks past the end of drive {drive}")
        if mask:
            self.slots.append((drive, first, mask, checksum))
        self.n_blocks += mask.bit_count()
        last = self.runs[-1] if self.runs else [0, 0, 0, 0]
        if last[:2] == [self.place, drive] and last[2] + last[3] == first:
            last[3] += count
        else:
            self.runs.append([self.place, drive, first, count])

    def check_runs(self):  # each cluster exactly once
        seen = dict.fromkeys(self.drives, 0)
        ends = [(drive, -(-size // CLUSTER), 0) for drive, (_, size) in self.drives.items()]
        for drive, first, count in sorted(run[1:] for run in self.runs) + ends:
            need(first >= seen[drive], f"cluster {first} of drive {drive} twice")
            need(first == seen[drive] or any(self.parent), f"incomplete: drive {drive} has gaps")
            seen[drive] = first + count

    def files(self):  # name, size and content, but for that of drives
        drives = [(name + b".raw", size, b"") for name, size in self.drives.values()]
        return drives + [(name, len(data), data) for name, data in self.configs]

    def restore(self, parents, folder):
        Archive.at_hand = self
        names = [name for name, _, _ in self.files()]
        unsafe = [name for name in names if not is_safe(name)]
        need(not unsafe and len(set(names)) == len(names), f"unsafe or equal names: {unsafe}", 1)
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        there = [name for name in names if os.path.lexists(name)]
        need(not there, f"exists already: {there}", 1)
        outputs = [open(name + b".part", "xb") for name in names]
        for output, (_, size, data) in zip(outputs, self.files()):
            output.write(data)
            output.truncate(size)
        drives = {name: Drive(output, size) for output, (name, size) in zip(outputs, self.drives.values())}
        for archive in [self] + parents:
            archive.write_drives(drives)
        whole = all(drive.held == [(0, drive.n)][:drive.n] for drive in drives.values())
        need(whole or any(archive.parent), "incomplete: a cluster is in no archive of the chain")
        for output in outputs:
            output.flush()
            os.fsync(output.fileno())
        for name in names:
            need(not os.path.lexists(name), f"exists already: {name}", 1)
            os.rename(name + b".part", name)

    def write_drives(self, drives):  # those of the newest archive, by name; section 5.2
        Archive.at_hand, sizes = self, {name: -(-size // CLUSTER) for name, size in self.drives.values()}
        need(len(sizes) == len(self.drives), "two drives of the same name")
        for name, drive in drives.items():
            drive.n_left = min(drive.n_left, sizes.get(name, 0))
        for blocks in self.extents():
            self.write_extent(drives, memoryview(blocks))
        while padding := self.read(BLOCK, or_less=True):
            need(not any(padding) and self.at - self.place <= 16 * MIB, "more than padding")
        self.check_runs()
        for _, number, first, count in self.runs:
            if drive := drives.get(self.drives[number][0]):
                drive.held.append((first, min(first + count, drive.n_left)))
        for drive in drives.values():
            drive.join()

    def write_extent(self, drives, blocks):
        for number, cluster, mask, checksum in self.slots:
            name, size_bytes = self.drives[number]
            size, left = BLOCK * mask.bit_count(), size_bytes - cluster * CLUSTER
            data, blocks = blocks[:size], blocks[size:]
            if mask != 0xffff:
                stored = (data[i:i + BLOCK] for i in range(0, size, BLOCK))
                data = b"".join(next(stored) if mask >> j & 1 else bytes(BLOCK) for j in range(16))
            good = not self.digest or self.digest(data) == checksum and not any(data[left:])
            need(good, f"cluster {cluster} of drive {number} damaged")
            if name in drives:
                drives[name].put(cluster, data)

class Drive:  # of the newest archive; held: runs of clusters that newer archives had, ascending
    def __init__(self, output, size):
        self.output, self.size, self.held = output, size, []
        self.n = self.n_left = -(-size // CLUSTER)  # left: that can be as an older archive has it

    def put(self, cluster, data):
        at = bisect.bisect(self.held, (cluster, self.n + 1))
        if cluster < self.n_left and not (at and cluster < self.held[at - 1][1]):
            self.output.seek(cluster * CLUSTER)
            self.output.write(data[:self.size - cluster * CLUSTER])

    def join(self):
        runs, self.held = sorted(run for run in self.held if run[0] < run[1]), []
        for first, end in runs:
            if self.held and first <= self.held[-1][1]:
                first, end = self.held[-1][0], max(end, self.held.pop()[1])
            self.held.append((first, end))

def main(names, folder):
    archives, text, code = [Archive(name) for name in names], "", 0
    newest = Archive.at_hand = archives[0]
    try:
        for archive in archives:
            archive.read_head()
        for child, archive in zip(archives, archives[1:]):
            need(any(child.parent) and archive.uuid == child.parent, "not the parent of the one before it", 1)
        if folder is None:
            print("uuid", newest.uuid.hex(), "parent", newest.parent.hex())
            for file, size, _ in newest.files():
                print(size, ascii(file)[1:])
        else:
            newest.restore(archives[1:], folder)
            parent = archives[-1].parent
            need(not any(parent), f"incremental, parent is {parent.hex()}", 3)
    except Bad as error:
        text, code = error.args
    except (OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
        text, code = error, 1 if getattr(error, "errno", None) else 4  # none: from bzip2
    if code:
        place = f"byte {Archive.at_hand.place}: " if code == 4 else ""
        print(f"restore.py: {Archive.at_hand.name}: {place}{text}", file=sys.stderr)
    sys.exit(code)

if len(sys.argv) < 3 or sys.argv[1] == "--list" and len(sys.argv) > 3:
    sys.exit(__doc__.split("\n\n")[0])
main(sys.argv[2:], None) if sys.argv[1] == "--list" else main(sys.argv[1:-1], sys.argv[-1])
