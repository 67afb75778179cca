"""VMA 1: a described archive to bytes. Written from spec/vma1.md."""
import hashlib

import xxhash

from layout import BLOCK, SECTOR, Fault, round_up

MARKER = b"VMABAK-XXH3-64\0\1"
BLOBS_AT = 12288
SLOTS = 59

HEAD = {"magic": (0, ">4s"), "version": (4, ">I"), "uuid": (8, ">16s"), "time": (24, ">q"),
        "blob_offset": (48, ">I"), "blob_size": (52, ">I"), "size": (56, ">I"), "marker": (60, ">16s")}
CONFIG = {"name": (2044, ">I"), "data": (3068, ">I")}
DEVICE = {"name": (0, ">I"), "reserved": (4, ">I"), "size": (8, ">Q"), "reserved2": (16, ">16s")}
EXTENT = {"magic": (0, ">4s"), "reserved": (4, ">H"), "blocks": (6, ">H"), "uuid": (8, ">16s")}
SLOT = {"mask": (0, ">H"), "reserved": (2, ">B"), "device": (3, ">B"), "cluster": (4, ">I")}


class Blobs:
    """The blob buffer in the making; its byte 0 is not used."""

    def __init__(self):
        self.bytes, self.starts = bytearray(1), []

    def add(self, data):
        self.starts.append(len(self.bytes))
        self.bytes += len(data).to_bytes(2, "little") + data
        return self.starts[-1]


def put_items(image, head, blobs):
    """Configs, drives and other blobs, in the order of the text."""
    n_configs = 0
    for item in image.items:
        if item["kind"] == "blob":
            blobs.add(item["data"])
        elif item["kind"] == "config":
            values = {"name": blobs.add(item["name"] + b"\0"), "data": blobs.add(item["data"])}
            layout = {name: (offset + 4 * n_configs, form) for name, (offset, form) in CONFIG.items()}
            image.edits.pack(layout, f"config{n_configs}", values, head)
            image.edits.places[f"config{n_configs}.name"] = 2044 + 4 * n_configs
            image.edits.places[f"config{n_configs}.data"] = 3068 + 4 * n_configs
            n_configs += 1
        elif item["kind"] == "drive":
            at = 4096 + 32 * item["id"]
            image.edits.places[f"device{item['id']}"] = at
            values = {"name": blobs.add(item["name"] + b"\0"), "reserved": 0, "size": item["size"],
                      "reserved2": bytes(16)}
            image.edits.pack(DEVICE, f"device{item['id']}", values, head, at)
        else:
            raise Fault(f"VMA has no {item['kind']}")


def head_bytes(image):
    edits, head, blobs = image.edits, bytearray(BLOBS_AT), Blobs()
    edits.places["head"] = 0
    put_items(image, head, blobs)
    offset = image.options.get("blob-offset", BLOBS_AT)
    size = image.options.get("head-size") or max(round_up(offset + len(blobs.bytes), SECTOR),
                                                 BLOBS_AT + SECTOR)
    head = head.ljust(offset, b"\0") + blobs.bytes
    head = head.ljust(size, b"\0")
    for i, start in enumerate(blobs.starts):
        edits.places[f"blob{i}"] = offset + start
    edits.places["blobs.end"] = offset + len(blobs.bytes)
    edits.pack(HEAD, "head", {
        "magic": b"VMA\0", "version": 1, "uuid": image.options["uuid"],
        "time": image.options["time"], "blob_offset": offset, "blob_size": len(blobs.bytes),
        "size": size, "marker": MARKER if image.checksums else bytes(16)}, head)
    edits.apply_pokes(0, head)
    head[32:48] = bytes(16)
    head[32:48] = hashlib.md5(head).digest()
    return head


def spread_checksums(header, slots, name):
    """The checksums of data clusters into the unused slots, 7 bytes each."""
    sums = b"".join(xxhash.xxh3_64_digest(slot["visible"]) for slot in slots
                    if slot["kind"] == "data" and slot["mask"])
    for i in range(SLOTS):
        at = 40 + 8 * i
        if header[at + 3] == 0:
            part, sums = sums[:7].ljust(7, b"\0"), sums[7:]
            header[at:at + 8] = part[:3] + b"\0" + part[3:]
    if sums:
        raise Fault(f"{name}: no room for the checksums of its clusters")


def expand(image, section):
    """Slots of one cluster each."""
    for slot in section["slots"]:
        for i in range(slot.get("count", 1)):
            yield {**slot, "cluster": slot.get("cluster", 0) + i}


def extent_bytes(image, section, name, position):
    edits, header, blocks = image.edits, bytearray(SECTOR), bytearray()
    slots, n_blocks = list(expand(image, section)), 0
    if len(slots) > SLOTS:
        raise Fault(f"{name}: {len(slots)} slots")
    for i, slot in enumerate(slots):
        at = 40 + 8 * i
        edits.places[f"{name}.slot{i}"] = position + at
        if slot["kind"] == "unused":
            header[at:at + 8] = slot["bytes"]
            continue
        mask = slot.get("mask", 0)
        edits.pack(SLOT, f"{name}.slot{i}", {
            "mask": mask, "reserved": 0, "device": image.drives[slot["drive"]]["id"],
            "cluster": slot["cluster"]}, header, at)
        n_blocks += mask.bit_count()
        blocks += b"".join(slot["bytes"][j * BLOCK:(j + 1) * BLOCK] for j in range(16) if mask >> j & 1)
    if image.checksums:
        spread_checksums(header, slots, name)
    edits.pack(EXTENT, name, {"magic": b"VMAE", "reserved": 0, "blocks": n_blocks,
                              "uuid": image.options["uuid"]}, header)
    edits.places[name] = position
    edits.places[f"{name}.payload"] = position + SECTOR
    edits.apply_pokes(position, header)
    header[24:40] = bytes(16)
    header[24:40] = hashlib.md5(header).digest()
    edits.apply_pokes(position + SECTOR, blocks)
    return header + blocks


def encode(image):
    """The archive as a list of parts, (name, bytes)."""
    parts, position = [("head", head_bytes(image))], 0
    for i, section in enumerate(image.sections):
        if section["kind"] != "extent":
            raise Fault(f"VMA has no {section['kind']}")
        position += len(parts[-1][1])
        parts.append((f"extent{i}", extent_bytes(image, section, f"extent{i}", position)))
    return parts
