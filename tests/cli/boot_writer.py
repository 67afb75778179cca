"""Makes the first sector of an image one that a PC boots, and that writes to that drive for ever, a sector here and there
behind the first: a guest of some bytes, for tests that only need one whose device is driven. Each write holds the number
of the writes before it.

    boot_writer.py IMAGE [MEBIBYTES]      of the image, that it writes to, a power of two (4)"""
import struct
import sys

sectors = (int(sys.argv[2]) if len(sys.argv) > 2 else 4) * 2048
code = bytes.fromhex("fa31c08ed88ec08ed0bc007cfb")  # segments and stack
again = len(code)
code += bytes.fromhex("be007d" "b80043" "b280" "cd13")  # int 13h, extended write by the packet at 7d00h
code += bytes.fromhex("66ff06007e")  # the number, at 7e00h
code += bytes.fromhex("66a1087d" "6683c07f" "6625") + struct.pack("<I", sectors - 1)  # 127 sectors on, round and round
code += bytes.fromhex("0c01" "66a3087d")  # never the first sector
code += bytes.fromhex("f606007e03")  # every fourth time
code += struct.pack("<Bb", 0x75, again - len(code) - 2)
code += b"\xf4"  # waits for the clock
code += struct.pack("<Bb", 0xEB, again - len(code) - 2)
sector = bytearray(512)
sector[: len(code)] = code
sector[0x100:0x110] = struct.pack("<BBHHHQ", 16, 0, 1, 0x7E00, 0, 1)
sector[510:] = b"\x55\xaa"
with open(sys.argv[1], "r+b") as image:
    image.write(sector)
