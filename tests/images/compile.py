#!/usr/bin/python3
"""usage: compile.py FILE.txt OUT            the archive that the text describes
       compile.py --content FILE.txt DIR  the drives (NAME.raw) and configs that it must give
       compile.py --places FILE.txt       where its parts lie

Compiles a description of an archive, VMAB or VMA 1, to bytes. It is correct by default: sizes,
positions, sequence, index, head copy, tail and all checksums are computed. Then every field can be
set, every byte poked, before or after the checksums are made, so that a bad archive differs from
a good one in one thing. Lines are words as in a shell; # begins a comment. NUMBERS are decimal or 0x,
may have K M G T, and may be sums (1M+512). A PATTERN is

    PIECE [and PIECE]...     PIECE: [at N] [size N] fill HH | random SEED | text WORD | hex HH.. | empty

fill and random go to the end of the cluster, or of the drive in it, unless a size is given. \\n, \\0
and \\xNN may stand in names and text.

The head:
    format vmab | vma [checksums]       the first line
    uuid HEX / parent HEX / time N      time: ns since 1970, in VMA s
    drive NAME SIZE [id N]              id: of VMA; the next one
    config NAME PATTERN
    note WORD / checkpoint WORD / parent-checkpoint WORD
    record TYPE PATTERN                 any record of VMAB
    blob PATTERN                        a blob of VMA that nothing points to
    head-size N / blob-offset N         larger than need be

The sections, in order:
    extent [zstd [HOW]]                 HOW: force no-size wrong-size two trailing skippable
                                        dictionary checksum, or 0xHEX, a frame as it is, which
                                        no library makes otherwise; without zstd blocks are stored
    data DRIVE CLUSTER [stored MASK] PATTERN
    zeros DRIVE CLUSTER COUNT           in VMA that many slots
    unused HEX                          a slot of VMA without a device, 8 bytes
    scatter DRIVE COUNT                 zero clusters 0 to COUNT - 1, backwards, a slot each, in
                                        as many new extents as it takes
    index / headcopy [SIZE]... / tail   where they are not wanted in their place
    ancillary TYPE [slots N] [codec N] PATTERN
    finish WORD...                      what ends the archive; default: index headcopy tail

Deviations inside, before the checksums around them are made:
    set PATH VALUE                      head.version record2.type extent0.sequence extent0.slot1.mask
                                        index0.entry0.cluster tail0.data device1.name config0.data;
                                        +N and -N are relative to what would be right
    poke PLACE HEX                      PLACE: a number, or head record1 extent0 extent0.payload
                                        extent0.slot1 index0.entry0 tail0 blob2 device1 [+N]
    drop | repeat index0.entry1 / swap index0.entry0 index0.entry1

Deviations of the finished archive: whole parts first, then bytes, in the order of the text:
    drop extent1 / repeat extent1 / swap extent0 extent1 / zero extent1
    damage PLACE HEX / flip PLACE       also: end, the first byte after the last part
    cut PLACE / append PATTERN          here a PLACE may also be -N, N bytes before the end
    wrap zstd | zstd-frames | gzip | xz | bz2

"times N LINE" stands for N lines, in which {} is 0 to N - 1, and {+M} is M more.

Before all that, in comments, what must come of it:
    # expect: ok | damaged at PLACE: words | incomplete at PLACE: words | unsupported at PLACE: words
    # restore: refused[: words]   it is whole, but has names that must not become paths; what
                            vmabak says
    # restore: partial      it is incremental: what it holds is restored and that said, or nothing is
    # restore: untried      whether it can be is up to the file system
    # sha256: HEX           of the archive, for what later versions must read as it is today
PLACE may also be size, that of the archive before it is wrapped, or anywhere.
"""
import bz2
import gzip
import lzma
import os
import re
import shlex
import sys

import zstandard

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree

import vma_image
import vmab_image
from layout import BLOCK, CLUSTER, Edits, Fault, hexbytes, number, pattern, text

ENTRY_SIZE = 32
COUNTER = re.compile(r"\{(\+\d+)?\}")
SAFE_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._+@%:=-]*")


def visible_part(data, size, cluster):
    """A cluster as a guest reads it: what is past the end of the drive is zero."""
    inside = max(0, min(CLUSTER, size - cluster * CLUSTER))
    return data[:inside].ljust(CLUSTER, b"\0")


def stored_mask(data):
    return sum(1 << j for j in range(16) if any(data[j * BLOCK:(j + 1) * BLOCK]))


class Image:
    """A text, read. The statements are its methods named do_..."""

    def __init__(self, source):
        self.expect = self.restore = self.golden = None
        self.format, self.checksums = None, False
        self.options = {"uuid": bytes(range(1, 17)), "parent": bytes(16), "time": 0}
        self.items, self.drives, self.sections = [], [], []
        self.finish = ["index", "headcopy", "tail"]
        self.edits, self.entry_edits, self.part_edits, self.byte_edits = Edits(), [], [], []
        self.line = 0
        for self.line, line in enumerate(source.splitlines(), 1):
            try:
                self.read_line(line)
            except (Fault, ValueError, IndexError, TypeError) as error:
                raise Fault(f"line {self.line}: {error}") from None

    def read_line(self, line):
        key, _, value = line.partition(":")
        if key == "# expect":
            self.expect = value.strip()
        elif key == "# restore":
            self.restore = value.strip()
        elif key == "# sha256":
            self.golden = value.strip()
        words = shlex.split(line, comments=True)
        if words[:1] == ["times"]:
            for i in range(number(words[1])):
                self.statement([COUNTER.sub(lambda found, i=i: str(i + int(found[1] or "0")), word)
                                for word in words[2:]])
        elif words:
            self.statement(words)

    def statement(self, words):
        do = getattr(self, "do_" + words[0].replace("-", "_"), None)
        if do is None or (self.format is None) != (words[0] == "format"):
            raise Fault(f"cannot have {words[0]} here")
        do(*words[1:])

    # The head

    def do_format(self, name, *words):
        if name not in ("vmab", "vma") or words not in ((), ("checksums",)):
            raise Fault(f"no such format: {name}")
        self.format, self.checksums = name, bool(words)

    def do_uuid(self, word):
        self.options["uuid"] = hexbytes(word)

    def do_parent(self, word):
        self.options["parent"] = hexbytes(word)

    def do_time(self, word):
        self.options["time"] = int(word, 0)

    def do_head_size(self, word):
        self.options["head-size"] = number(word)

    def do_blob_offset(self, word):
        self.options["blob-offset"] = number(word)

    def do_drive(self, name, size, *words):
        if words and (len(words) != 2 or words[0] != "id"):
            raise Fault("drive NAME SIZE [id N]")
        last = self.drives[-1]["id"] if self.drives else 0
        drive = {"kind": "drive", "name": text(name), "size": number(size), "clusters": {},
                 "id": number(words[1]) if words else last + 1}
        self.drives.append(drive)
        self.items.append(drive)

    def do_config(self, name, *words):
        self.items.append({"kind": "config", "name": text(name), "data": pattern(list(words))})

    def do_record(self, kind, *words):
        self.items.append({"kind": "record", "type": number(kind), "data": pattern(list(words))})

    def do_note(self, word):
        self.do_record("3", "text", word)

    def do_checkpoint(self, word):
        self.do_record("4", "text", word)

    def do_parent_checkpoint(self, word):
        self.do_record("5", "text", word)

    def do_blob(self, *words):
        self.items.append({"kind": "blob", "data": pattern(list(words))})

    # The sections

    def do_extent(self, zstd=None, frame=None):
        if zstd not in (None, "zstd"):
            raise Fault("extent [zstd [HOW]]")
        self.sections.append({"kind": "extent", "zstd": bool(zstd), "frame": frame, "slots": []})

    def drive_number(self, name):
        for i, drive in enumerate(self.drives):
            if drive["name"] == text(name):
                return i
        raise Fault(f"no drive {name}")

    def do_data(self, name, cluster, *words):
        drive, cluster = self.drive_number(name), number(cluster)
        mask = number(words[1]) if words[:1] == ("stored",) else None
        size = self.drives[drive]["size"]
        inside = max(0, min(CLUSTER, size - cluster * CLUSTER))
        data = pattern(list(words if mask is None else words[2:]), inside).ljust(CLUSTER, b"\0")
        if len(data) > CLUSTER:
            raise Fault("more than a cluster")
        visible = visible_part(data, size, cluster)
        self.drives[drive]["clusters"][cluster] = visible[:inside]
        self.sections[-1]["slots"].append({
            "kind": "data", "drive": drive, "cluster": cluster, "bytes": data, "visible": visible,
            "mask": stored_mask(data) if mask is None else mask})

    def do_zeros(self, name, cluster, count):
        self.sections[-1]["slots"].append({"kind": "zeros", "drive": self.drive_number(name),
                                           "cluster": number(cluster), "count": number(count)})

    def do_unused(self, word):
        data = hexbytes(word)
        if len(data) != 8 or data[3]:
            raise Fault("an unused slot is 8 bytes, the fourth of them zero")
        self.sections[-1]["slots"].append({"kind": "unused", "bytes": data})

    def do_scatter(self, name, count):
        for i, cluster in enumerate(range(number(count) - 1, -1, -1)):
            if i % 1024 == 0:
                self.do_extent()
            self.do_zeros(name, str(cluster), "1")

    def do_index(self):
        self.sections.append({"kind": "index"})

    def do_headcopy(self, *sizes):
        self.sections.append({"kind": "headcopy", "sizes": [number(size) for size in sizes]})

    def do_tail(self):
        self.sections.append({"kind": "tail"})

    def do_ancillary(self, kind, *words):
        section = {"kind": "ancillary", "type": number(kind), "n_slots": 0, "codec": 0}
        while words[:1] in (("slots",), ("codec",)):
            section["n_slots" if words[0] == "slots" else "codec"] = number(words[1])
            words = words[2:]
        self.sections.append({**section, "data": pattern(list(words))})

    def do_finish(self, *words):
        self.finish = list(words)

    # The deviations

    def do_set(self, path, word):
        self.edits.set(path, word, self.line)

    def do_poke(self, place, word):
        self.edits.poke(place, hexbytes(word), self.line)

    def part_edit(self, verb, *names):
        (self.entry_edits if "." in names[0] else self.part_edits).append((verb, *names))

    def do_drop(self, name):
        self.part_edit("drop", name)

    def do_repeat(self, name):
        self.part_edit("repeat", name)

    def do_swap(self, one, other):
        self.part_edit("swap", one, other)

    def do_zero(self, name):
        self.part_edits.append(("zero", name))

    def do_damage(self, place, word):
        self.byte_edits.append(("damage", place, hexbytes(word)))

    def do_flip(self, place):
        self.byte_edits.append(("flip", place, None))

    def do_cut(self, place):
        self.byte_edits.append(("cut", place, None))

    def do_append(self, *words):
        self.byte_edits.append(("append", "", pattern(list(words))))

    def do_wrap(self, how):
        self.byte_edits.append(("wrap", "", how))

    # From the description to bytes

    def edit_entries(self, name, entries):
        """The entries of an index after the edits that name them."""
        parts = [(f"{name}.entry{i // ENTRY_SIZE}", entries[i:i + ENTRY_SIZE])
                 for i in range(0, len(entries), ENTRY_SIZE)]
        mine = [edit for edit in self.entry_edits if edit[1].startswith(name + ".")]
        self.entry_edits = [edit for edit in self.entry_edits if edit not in mine]
        return b"".join(data for _, data in edit_parts(parts, mine))

    def move_places(self, parts):
        """After parts were moved: where each, and what is in it, lies now."""
        old, new, position = self.edits.places, {}, 0
        for name, data in parts:
            shift = position - old.get(name, position)
            new.setdefault(name, position)
            for inner in old:
                if inner.startswith(name + "."):
                    new.setdefault(inner, old[inner] + shift)
            position += len(data)
        inside_head = {name: at for name, at in old.items()
                       if re.match(r"record|config|device|blob", name)}
        self.edits.places = {**inside_head, **new, "end": position}

    def build(self):
        """The finished bytes. Expectations can be resolved from now on."""
        encoder = vmab_image if self.format == "vmab" else vma_image
        parts = edit_parts(encoder.encode(self), self.part_edits)
        self.edits.check_used()
        if self.entry_edits:
            raise Fault(f"no such thing: {self.entry_edits[0][1]}")
        self.move_places(parts)
        out = bytearray().join(data for _, data in parts)
        self.edits.places["size"] = len(out)
        wrapped = False
        for verb, place, data in self.byte_edits:
            from_end = place.startswith("-")
            at = len(out) - number(place[1:]) if from_end else place and self.edits.resolve(place)
            edit_bytes(out, verb, at, data)
            wrapped = wrapped or verb == "wrap"
            if not wrapped:
                self.edits.places["size"] = len(out)
        return bytes(out)

    def expectation(self):
        """(verdict, position, words) after build."""
        match = re.fullmatch(r"(damaged|incomplete|unsupported) at (\S+): (.+)", self.expect or "")
        if self.expect == "ok":
            return "ok", None, None
        if not match:
            raise Fault(f"no expectation: {self.expect}")
        at = None if match[2] == "anywhere" else self.edits.resolve(match[2])
        return match[1], at, match[3]

    def write_content(self, folder):
        """What a restore must give: only names that may be paths."""
        os.makedirs(folder, exist_ok=True)
        for item in self.items:
            if item["kind"] not in ("drive", "config") or not SAFE_NAME.fullmatch(item["name"]):
                continue
            path = os.path.join(os.fsencode(folder), item["name"])
            if item["kind"] == "config":
                with open(path, "wb") as file:
                    file.write(item["data"])
                continue
            with open(path + b".raw", "wb") as file:
                for cluster, data in item["clusters"].items():
                    os.pwrite(file.fileno(), data, cluster * CLUSTER)
                file.truncate(item["size"])


def edit_parts(parts, edits):
    """Parts dropped, repeated, swapped or zeroed by name. A repeated one is called NAMEb."""
    parts = list(parts)
    for verb, *names in edits:
        found = [[name for name, _ in parts].index(wanted) if wanted in dict(parts) else None
                 for wanted in names]
        if None in found:
            raise Fault(f"no such thing: {' '.join(names)}")
        name, data = parts[found[0]]
        if verb == "drop":
            del parts[found[0]]
        elif verb == "repeat":
            parts.insert(found[0] + 1, (name + "b", data))
        elif verb == "swap":
            parts[found[0]], parts[found[1]] = parts[found[1]], parts[found[0]]
        elif verb == "zero":
            parts[found[0]] = name, bytes(len(data))
    return parts


def edit_bytes(out, verb, at, data):
    """One edit of the finished archive, which must change something."""
    before = bytes(out)
    if verb == "cut":
        del out[at:]
    elif verb == "wrap":
        out[:] = wrap(before, data)
    elif verb == "append":
        out.extend(data)
    elif verb == "flip":
        out[at] ^= 1
    elif at + len(data) <= len(out):
        out[at:at + len(data)] = data
    if before == out:
        raise Fault(f"{verb} at byte {at} changes nothing")


def wrap(data, how):
    if how == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    if how == "zstd-frames":
        middle = len(data) // 2
        return wrap(data[:middle], "zstd") + wrap(data[middle:], "zstd")
    makers = {"gzip": lambda d: gzip.compress(d, mtime=0), "xz": lzma.compress, "bz2": bz2.compress}
    if how not in makers:
        raise Fault(f"cannot wrap into {how}")
    return makers[how](data)


def load(path):
    with open(path, encoding="utf-8") as file:
        return Image(file.read())


def main(arguments):
    mode = arguments.pop(0) if arguments[:1] in (["--content"], ["--places"]) else "bytes"
    if len(arguments) != (1 if mode == "--places" else 2):
        sys.exit(__doc__.split("\n\n")[0])
    try:
        image = load(arguments[0])
        data = image.build()
        image.expectation()
    except (Fault, OSError) as error:
        sys.exit(f"compile.py: {arguments[0]}: {error}")
    if mode == "--content":
        image.write_content(arguments[1])
    elif mode == "--places":
        for name, at in sorted(image.edits.places.items(), key=lambda place: place[1]):
            print(f"{at:10d} {name}")
    else:
        with open(arguments[1], "wb") as file:
            file.write(data)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
