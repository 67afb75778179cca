"""Writes inputs of the measurements to standard output; the same ones each time.

    inputs.py half MIB      runs of blocks, random or of one byte
    inputs.py pages MIB     pages of 8 KiB like those of a database
    inputs.py change FILE N changes one in N of the bytes of FILE, in runs of 64 KiB to 4 MiB; what is
                            written is vmabak's list of them
    inputs.py sample FILE   one in eight of the pieces of 4 MiB that are left of FILE without its
                            zero blocks: what a compressor gets to see
"""
import random
import struct
import sys

BLOCK, PAGE, PIECE = 4096, 8192, 4 << 20
WORDS = """account address amount archive article balance branch cancelled city client closed
comment company country created customer delivered department discount email employee entry first
group invoice item language last limit manager market message method name north note number open
order paid partner payment pending phone price product project quantity reference region report
returned sales section service shipped south state status stock street supplier total type unit
user value version warehouse week west year zone""".split()


def half(mib, out):
    """Runs of 1 to 64 blocks each."""
    dice, left = random.Random(1), (mib << 20) // BLOCK
    while left > 0:
        for kind in ("random", "constant"):
            n_blocks = min(left, dice.randint(1, 64))
            size = n_blocks * BLOCK
            out.write(dice.randbytes(size) if kind == "random" else bytes([dice.randint(1, 255)]) * size)
            left -= n_blocks


def row(dice, key):
    text = " ".join(dice.choices(WORDS, k=dice.randint(3, 12)))
    numbers = struct.pack("<IIqd", key, dice.getrandbits(18), 1700000000000000 + key * 977, dice.random())
    return b"\x06\x00\x02\x08\x18\x00" + numbers + text.encode()


def page(dice, number, key):
    """A header, pointers to rows, zeros, and the rows from the end backwards; some pages are full."""
    free = dice.choice((40, 200, 800, 3000))
    pointers, rows, used = [], [], 24
    while True:
        data = row(dice, key + len(rows))
        if used + len(data) + 4 + free > PAGE:
            break
        used += len(data) + 4
        rows.append(data)
        pointers.append(struct.pack("<HH", PAGE - used + 24 + 4 * len(rows), len(data)))
    body = b"".join(reversed(rows))
    lower = 24 + 4 * len(rows)
    head = struct.pack("<QHHHHHHI", number * 8191, number * 40503 & 0xFFFF, 4, lower,
                       PAGE - len(body), PAGE, 0x2004, 0)
    return head + b"".join(pointers) + bytes(PAGE - lower - len(body)) + body, len(rows)


def pages(mib, out):
    dice, key = random.Random(2), 0
    for number in range((mib << 20) // PAGE):
        data, n_rows = page(dice, number, key)
        out.write(data)
        key += n_rows


def sample(path, out):
    zeros, piece, index = bytes(BLOCK), bytearray(), 0
    with open(path, "rb") as source:
        while block := source.read(PIECE):
            for at in range(0, len(block), BLOCK):
                if block[at:at + BLOCK] != zeros:
                    piece += block[at:at + BLOCK]
            while len(piece) >= PIECE:
                if index % 8 == 0:
                    out.write(piece[:PIECE])
                del piece[:PIECE]
                index += 1


def change(path, share):
    """Other pieces of the same file, which compress as well; others for another name."""
    dice, grain, runs = random.Random(path), 64 << 10, []
    with open(path, "rb+") as file:
        size = file.seek(0, 2)
        left = size // share
        while left > 0:
            n = min(left, size // 8, grain * dice.choice((1, 2, 4, 16, 64)))
            file.seek(dice.randrange(size - n) // grain * grain)
            data = bytes(byte ^ 0x55 for byte in file.read(4096)) + file.read(n - 4096)
            at = dice.randrange(size - n) // grain * grain
            file.seek(at)
            file.write(data)
            runs.append((at, at + n))
            left -= n
    print(f"# vmabak changes 1\n# size {size}")
    n_lines, last = 0, 0
    for begin, end in sorted(runs):
        begin = max(begin, last)
        if begin < end:
            print(begin, end - begin)
            n_lines, last = n_lines + 1, end
    print(f"# end {n_lines}")


KIND, ARGUMENT = sys.argv[1:3]
if KIND == "sample":
    sample(ARGUMENT, sys.stdout.buffer)
elif KIND == "change":
    change(ARGUMENT, int(sys.argv[3]))
else:
    {"half": half, "pages": pages}[KIND](int(ARGUMENT), sys.stdout.buffer)
