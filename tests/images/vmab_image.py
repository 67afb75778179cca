"""VMAB: a described archive to bytes. Written from spec/vmab.md."""
import struct

import xxhash
import zstandard

from layout import BLOCK, SECTOR, round_up

PIECE = 4194304  # bytes of the head in a head copy section

HEAD = {"magic": (0x00, "<8s"), "version": (0x08, "<I"), "size": (0x0c, "<I"),
        "required": (0x10, "<Q"), "optional": (0x18, "<Q"), "uuid": (0x20, "<16s"),
        "parent": (0x30, "<16s"), "instant": (0x40, "<q"), "records_size": (0x48, "<I"),
        "reserved": (0x4c, "<36s")}
RECORD = {"type": (0, "<H"), "reserved": (2, "<H"), "length": (4, "<I")}
DRIVE = {"size": (8, "<Q"), "reserved2": (16, "<Q")}
CONFIG = {"name_length": (8, "<H"), "reserved2": (10, "<H"), "reserved3": (12, "<I")}
SECTION = {"magic": (0x00, "<8s"), "uuid": (0x08, "<16s"), "sequence": (0x18, "<Q"),
           "position": (0x20, "<Q"), "previous": (0x28, "<Q"), "kind": (0x30, "<H"),
           "codec": (0x32, "<H"), "slots": (0x34, "<I"), "raw_size": (0x38, "<I"),
           "stored_size": (0x3c, "<I"), "payload_checksum": (0x40, "<16s"), "reserved": (0x50, "<32s")}
SLOT = {"cluster": (0, "<Q"), "drive": (8, "<I"), "type": (12, "<H"), "mask": (14, "<H"),
        "checksum": (16, "<16s")}
ZERO_SLOT = {**SLOT, "count": (16, "<Q"), "reserved": (24, "<Q")}
del ZERO_SLOT["checksum"]
ENTRY = {"cluster": (0, "<Q"), "count": (8, "<Q"), "position": (16, "<Q"), "drive": (24, "<I"),
         "reserved": (28, "<I")}
TAIL = {"size": (0x80, "<Q"), "sections": (0x88, "<Q"), "data": (0x90, "<Q"), "zeros": (0x98, "<Q"),
        "raw": (0xa0, "<Q"), "head_copy": (0xa8, "<Q"), "reserved2": (0xb0, "<336s")}
KINDS = {"extent": 1, "index": 2, "headcopy": 3, "tail": 4}


def checksum(data):
    return xxhash.xxh3_128_digest(bytes(data))


def record_bytes(edits, number, item):
    """One record of the head, padded."""
    path, kind = f"record{number}", item["kind"]
    layout, values = dict(RECORD), {"reserved": 0, "reserved2": 0, "reserved3": 0}
    if kind == "drive":
        layout.update(DRIVE)
        values.update(type=1, size=item["size"])
        out = bytearray(24) + item["name"]
    elif kind == "config":
        layout.update(CONFIG)
        values.update(type=2, name_length=len(item["name"]))
        out = bytearray(16) + item["name"] + item["data"]
    else:
        values.update(type=item["type"])
        out = bytearray(8) + item["data"]
    values["length"] = len(out) - 8
    out.extend(bytes(-len(out) % 8))
    edits.pack(layout, path, values, out)
    return out


def head_bytes(image):
    edits, records = image.edits, bytearray()
    edits.places["head"] = 0
    for number, item in enumerate(image.items):
        edits.places[f"record{number}"] = 0x80 + len(records)
        records += record_bytes(edits, number, item)
    edits.places["records.end"] = 0x80 + len(records)
    size = image.options.get("head-size") or round_up(0x80 + len(records), SECTOR)
    head = bytearray(0x80) + records + bytes(size - 0x80 - len(records))
    edits.pack(HEAD, "head", {
        "magic": b"\x89VMB\r\n\x1a\n", "version": 1, "size": size, "required": 0, "optional": 0,
        "uuid": image.options["uuid"], "parent": image.options["parent"],
        "instant": image.options["time"], "records_size": len(records), "reserved": bytes(36)}, head)
    edits.apply_pokes(0, head)
    head[0x70:0x80] = checksum(head[:0x70] + head[0x80:])
    return head


def frame(raw, how):
    """A zstd frame of the raw bytes, deviating as asked, or given as it is."""
    if how is not None and how.startswith("0x"):
        return bytes.fromhex(how[2:])
    compressor = zstandard.ZstdCompressor(level=1, write_checksum=how == "checksum",
                                          write_content_size=how != "no-size")
    if how == "wrong-size":  # a whole frame, but of one block less
        return compressor.compress(raw[:-BLOCK])
    out = compressor.compress(raw)
    if how == "two":
        half = len(raw) // 2
        return compressor.compress(raw[:half]) + compressor.compress(raw[half:])
    if how == "trailing":
        return out + bytes(4)
    if how == "skippable":
        return b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"skip" + out
    if how == "dictionary":  # an identifier of one byte follows descriptor and window
        window = 0 if out[4] & 0x20 else 1
        return out[:4] + bytes([out[4] | 1]) + out[5:5 + window] + b"\x07" + out[5 + window:]
    return out


class Encoder:
    """Writes the parts of an archive one after the other, as a writer of the format would."""

    def __init__(self, image):
        self.image, self.edits = image, image.edits
        self.head = head_bytes(image)
        self.parts = [("head", self.head)]
        self.position, self.sequence, self.last_index = len(self.head), 0, 0
        self.pending, self.counts = [], {}
        self.n_data = self.n_zeros = self.raw_size = self.copy_at = 0

    def add(self, kind_name, fields, area, payload):
        """One section: area is what follows the first 128 bytes of its header, before padding."""
        name = f"{kind_name}{self.counts.setdefault(kind_name, 0)}"
        self.counts[kind_name] += 1
        header = bytearray(128) + area
        header.extend(bytes(-len(header) % SECTOR))
        payload = bytearray(payload) + bytes(-len(payload) % SECTOR)
        places = self.edits.places
        places[name] = self.position
        places[f"{name}.payload"] = self.position + len(header)
        self.edits.apply_pokes(self.position + len(header), payload)
        self.edits.pack(SECTION, name, {
            "magic": b"VMABSECT", "uuid": self.image.options["uuid"], "sequence": self.sequence,
            "position": self.position, "previous": self.last_index,
            "payload_checksum": checksum(payload), "reserved": bytes(32), **fields}, header)
        self.edits.apply_pokes(self.position, header)
        header[0x70:0x80] = checksum(header[:0x70] + header[0x80:])
        self.parts.append((name, header + payload))
        self.position += len(header) + len(payload)
        self.sequence += 1

    def slot_area(self, name, slots):
        """The slots as bytes, and the blocks they say are stored."""
        area, blocks = bytearray(), bytearray()
        for i, slot in enumerate(slots):
            self.edits.places[f"{name}.slot{i}"] = self.position + 128 + 32 * i
            area += bytes(32)
            path, values = f"{name}.slot{i}", {"cluster": slot["cluster"], "drive": slot["drive"]}
            if slot["kind"] == "zeros":
                values.update(type=2, mask=0, count=slot["count"], reserved=0)
                self.edits.pack(ZERO_SLOT, path, values, area, 32 * i)
                continue
            values.update(type=1, mask=slot["mask"], checksum=checksum(slot["visible"]))
            self.edits.pack(SLOT, path, values, area, 32 * i)
            blocks += b"".join(slot["bytes"][j * BLOCK:(j + 1) * BLOCK]
                               for j in range(16) if slot["mask"] >> j & 1)
        return area, bytes(blocks)

    def extent(self, section):
        slots, at = section["slots"], self.position
        area, raw = self.slot_area(f"extent{self.counts.get('extent', 0)}", slots)
        stored, codec = raw, 0
        if section["zstd"] and raw:
            stored, codec = frame(raw, section["frame"]), 1
            if len(stored) >= len(raw) and section["frame"] != "force":
                stored, codec = raw, 0
        runs = []
        for slot in slots:
            first, count = slot["cluster"], slot.get("count", 1)
            if runs and runs[-1][3] == slot["drive"] and runs[-1][0] + runs[-1][1] == first:
                runs[-1][1] += count
            else:
                runs.append([first, count, at, slot["drive"]])
        self.pending += runs
        self.n_data += sum(slot["kind"] == "data" for slot in slots)
        self.n_zeros += sum(slot.get("count", 0) for slot in slots)
        self.raw_size += len(raw)
        self.add("extent", {"kind": 1, "codec": codec, "slots": len(slots), "raw_size": len(raw),
                            "stored_size": len(stored)}, area, stored)

    def index(self, _section):
        name = f"index{self.counts.get('index', 0)}"
        at, entries = self.position, bytearray()
        for i, (cluster, count, position, drive) in enumerate(self.pending):
            entries += bytes(32)
            self.edits.places[f"{name}.entry{i}"] = at + 512 + 32 * i
            self.edits.pack(ENTRY, f"{name}.entry{i}", {
                "cluster": cluster, "count": count, "position": position, "drive": drive,
                "reserved": 0}, entries, 32 * i)
        entries = self.image.edit_entries(name, bytes(entries))
        self.add("index", {"kind": 2, "codec": 0, "slots": 0, "raw_size": len(entries),
                           "stored_size": len(entries)}, b"", entries)
        self.pending, self.last_index = [], at

    def headcopy(self, section):
        self.copy_at = self.copy_at or self.position
        rest, sizes = bytes(self.head), list(section["sizes"])
        while rest:
            size = sizes.pop(0) if sizes else PIECE
            part, rest = rest[:size], rest[size:]
            self.add("headcopy", {"kind": 3, "codec": 0, "slots": 0, "raw_size": len(part),
                                  "stored_size": len(part)}, b"", part)

    def tail(self, _section):
        area = bytearray(384)
        values = {"size": self.position + 512, "sections": self.sequence + 1, "data": self.n_data,
                  "zeros": self.n_zeros, "raw": self.raw_size, "head_copy": self.copy_at,
                  "reserved2": bytes(336)}
        layout = {name: (offset - 0x80, form) for name, (offset, form) in TAIL.items()}
        name = f"tail{self.counts.get('tail', 0)}"
        self.edits.pack(layout, name, values, area)
        self.add("tail", {"kind": 4, "codec": 0, "slots": 0, "raw_size": 0, "stored_size": 0}, area, b"")

    def ancillary(self, section):
        data = section["data"]
        self.add("ancillary", {"kind": section["type"], "codec": section["codec"],
                               "slots": section["n_slots"], "raw_size": len(data),
                               "stored_size": len(data)}, b"\xa5" * 32 * section["n_slots"], data)


def encode(image):
    """The archive as a list of parts, (name, bytes)."""
    encoder = Encoder(image)
    for section in image.sections:
        getattr(encoder, section["kind"])(section)
    for kind in image.finish:
        if kind != "index" or encoder.pending:
            getattr(encoder, kind)({"sizes": []})
    return encoder.parts
