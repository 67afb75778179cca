"""What both encoders share: patterns of bytes, fields that can be overridden, places in the archive."""
import random
import struct

BLOCK = 4096
CLUSTER = 65536
SECTOR = 512


class Fault(Exception):
    """A mistake in a text, not in an archive."""


def round_up(n, unit):
    return -(-n // unit) * unit


def number(word):
    """0x10, 4096, 64K, 1M+512: sums of C numbers with binary suffixes."""
    total = 0
    for term in word.split("+"):
        shift = {"K": 10, "M": 20, "G": 30, "T": 40}.get(term[-1:], 0)
        try:
            total += int(term[:-1] if shift else term, 0) << shift
        except ValueError:
            raise Fault(f"not a number: {word}") from None
    return total


def text(word):
    """The bytes of a word in which \\n, \\0 and \\xNN stand for themselves."""
    return word.encode("latin-1").decode("unicode_escape").encode("latin-1")


def hexbytes(word):
    try:
        return bytes.fromhex(word)
    except ValueError:
        raise Fault(f"not hexadecimal: {word}") from None


def piece(words, out, default_size):
    """Puts one piece, [at N] [size N] (fill HH | random SEED | text WORD | hex HH | empty), into out."""
    at, size = 0, None
    while words[:1] in (["at"], ["size"]) and len(words) >= 2:
        if words[0] == "at":
            at = number(words[1])
        else:
            size = number(words[1])
        words = words[2:]
    size = max(0, default_size - at) if size is None else size
    if words == ["empty"]:
        data = b""
    elif len(words) != 2:
        raise Fault(f"not a pattern: {' '.join(words)}")
    elif words[0] == "fill":
        data = hexbytes(words[1]) * size
    elif words[0] == "random":
        data = random.Random(number(words[1])).randbytes(size)
    elif words[0] in ("text", "hex"):
        data = text(words[1]) if words[0] == "text" else hexbytes(words[1])
    else:
        raise Fault(f"not a pattern: {' '.join(words)}")
    out.extend(bytes(max(0, at + len(data) - len(out))))
    out[at:at + len(data)] = data


def pattern(words, default_size=0):
    """Pieces joined by the word "and", later ones over earlier ones."""
    out = bytearray()
    while words:
        end = words.index("and") if "and" in words else len(words)
        piece(words[:end], out, default_size)
        words = words[end + 1:]
    return bytes(out)


class Edits:
    """The deviations a text asks for, and where things came to lie. Every one must be used up."""

    def __init__(self):
        self.sets = {}    # path of a field -> word
        self.pokes = []   # (place, bytes), before checksums are made
        self.places = {}  # name -> position
        self.unused = {}  # what was not used yet -> line of the text

    def set(self, path, word, line):
        if path in self.sets:
            raise Fault(f"{path} is set twice")
        self.sets[path] = word
        self.unused[path] = line

    def poke(self, place, data, line):
        self.pokes.append((place, data))
        self.unused[place, data] = line

    def value(self, path, form, normal):
        if path not in self.sets:
            return normal
        word = self.sets[path]
        self.unused.pop(path, None)
        if form.endswith("s"):
            value = hexbytes(word)
        else:
            value = normal + int(word, 0) if word[0] in "+-" else number(word)
        if value == normal:
            raise Fault(f"set {path} changes nothing")
        return value

    def pack(self, layout, path, values, out, base=0):
        """The fields of a structure into out, from byte base on; layout: name -> (offset, form)."""
        for name, (offset, form) in layout.items():
            value = self.value(f"{path}.{name}", form, values[name])
            try:
                struct.pack_into(form, out, base + offset, value)
            except struct.error as error:
                raise Fault(f"{path}.{name}: {error}") from None

    def resolve(self, place):
        """A position: a number, the name of a place, or NAME+N."""
        name, plus, offset = place.partition("+")
        if name in self.places:
            return self.places[name] + (number(offset) if plus else 0)
        if name[:1].isdigit():
            return number(place)
        raise Fault(f"no such place: {place}")

    def apply_pokes(self, position, out):
        """Those that fall into the bytes out, which lie at position."""
        for place, data in self.pokes:
            try:
                at = self.resolve(place) - position
            except Fault:
                continue  # a place that comes later
            if 0 <= at < len(out):
                if at + len(data) > len(out) or out[at:at + len(data)] == data:
                    raise Fault(f"poke {place} changes nothing, or leaves its part")
                out[at:at + len(data)] = data
                self.unused.pop((place, data), None)

    def check_used(self):
        for what, line in self.unused.items():
            raise Fault(f"line {line}: {what} is not in this archive")
