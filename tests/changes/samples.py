"""The change lists of this folder, which are texts: samples.load(path).

A file begins with lines of "# ": why it is here, and

    # options: format=era,block=64K     what follows the list's name
    # size: 16777216                    of the drive, which is given; or, where the list tells it,
    # told: 16777216
    # range: 0 65536                    what a good list says, in order
    # since: TOKEN, # until: TOKEN      what it calls its instants
    # code: 4, # says: WORDS            how a bad one is refused

Then a line "-- text", and the list as it is to the end of the file, or "-- bytes", and a line for each piece:

    text "rbd diff v1\\n"    with Python's escapes
    hex 00 ff
    le 8 4096               a number of 8 bytes, little-endian
    fill 512 00             bytes of one value
    to 4096                 zeros up to this position

A second one, "-- older", is the index that a .fidx is compared with."""
import ast
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Sample:
    def __init__(self, name):
        self.name, self.options, self.size, self.told, self.code, self.says = name, "", None, None, 0 if name.startswith("good-") else 4, ""
        self.ranges, self.since, self.until, self.list, self.older = [], None, None, b"", None

    def option(self, key):
        found = [pair.split("=", 1)[1] for pair in self.options.split(",") if pair.startswith(key + "=")]
        return found[0] if found else None

    def own(self):
        """What "vmabak changes" prints of it."""
        lines = ["# vmabak changes 1", f"# size {self.size or self.told}"]
        lines += [f"# since {self.since}"] * (self.since is not None) + [f"# until {self.until}"] * (self.until is not None)
        return "\n".join(lines + self.ranges + [f"# end {len(self.ranges)}", ""])


def build(lines):
    out = b""
    for line in lines:
        word, _, rest = line.strip().partition(" ")
        if word == "text":
            out += ast.literal_eval("b" + rest)
        elif word == "hex":
            out += bytes.fromhex(rest)
        elif word == "le":
            size, number = rest.split()
            out += int(number, 0).to_bytes(int(size), "little")
        elif word == "fill":
            count, byte = rest.split()
            out += bytes.fromhex(byte) * int(count)
        elif word == "to":
            assert len(out) <= int(rest), line
            out = out.ljust(int(rest), b"\0")
        elif word:
            raise ValueError(line)
    return out


def load(path):
    sample = Sample(os.path.splitext(os.path.basename(path))[0])
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines(keepends=True)
    while lines[0].startswith("# "):
        key, _, value = lines.pop(0)[2:].strip().partition(": ")
        if key == "range":
            sample.ranges.append(value)
        elif key in ("options", "since", "until", "says"):
            setattr(sample, key, value)
        elif key in ("size", "told", "code"):
            setattr(sample, key, int(value))
    parts = {}
    for line in lines:
        if line.startswith("-- "):
            part = parts.setdefault(line.strip(), [])
        else:
            part.append(line)
    sample.list = "".join(parts["-- text"]).encode() if "-- text" in parts else build(parts["-- bytes"])
    sample.older = build(parts["-- older"]) if "-- older" in parts else None
    return sample


def load_all():
    return [load(os.path.join(HERE, name)) for name in sorted(os.listdir(HERE)) if name.endswith(".txt")]
