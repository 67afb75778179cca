#!/usr/bin/python3
"""usage: spec_example.py SPEC OUT

Puts together the archive whose rows of hex are in the example of the spec; rows left out are zero.
Its size is the one that the text tells."""
import re
import sys

text = open(sys.argv[1], encoding="utf-8").read()
text = text[text.index("\n## 11. Example"):text.index("\n## 12.")]
archive = bytearray(int(re.search(r"The archive has (\d+) bytes", text).group(1)))
rows = re.findall(r"^    ([0-9a-f]{5}): ((?:[0-9a-f]{2} ){15}[0-9a-f]{2})$", text, re.MULTILINE)
for position, row in rows:
    at = int(position, 16)
    archive[at:at + 16] = bytes.fromhex(row)
if len(rows) < 50 or len(archive) % 512:
    sys.exit(f"{len(rows)} rows, {len(archive)} bytes: not the example")
open(sys.argv[2], "wb").write(archive)
