# What is on a tape is listed from its beginning, which it is at afterwards; and a backup goes behind it.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
expect_code 0 on_tape list tape
[ "$(wc -l <"$out")" = 1 ] || fail "a blank tape has $(cat "$out")"
for n in 1 2; do
	make_random $n.raw $((n * 300032)) $n
	expect_code 0 on_tape backup -q -o tape --uuid 01234567-89ab-cdef-0123-00000000000$n drive$n=$n.raw
	rewind
done
expect_code 0 on_tape list tape
[ "$(awk '{ print $1, $2, $NF }' "$out" | tr '\n' ' ')" = "NUMBER VOLUME UUID \
1 1 01234567-89ab-cdef-0123-000000000001 2 1 01234567-89ab-cdef-0123-000000000002 " ] || fail "$(cat "$out")"
expect_code 0 on_tape restore -q --no-sync tape -C back
same_file 1.raw back/drive1.raw
expect_code 0 on_tape restore -q --no-sync tape -C back
same_file 2.raw back/drive2.raw

# --force writes where the tape is, over what follows.
rewind
expect_code 0 on_tape backup -q --force -o tape --uuid 01234567-89ab-cdef-0123-000000000003 drive.raw=1.raw
expect_code 0 on_tape list tape --json
"$PYTHON" -c 'import json, sys
found = json.load(open(sys.argv[1]))
assert [(a["number"], a["volume"], a["uuid"][-1], a["drives"][0]["name"]) for a in found["archives"]] == [(1, 1, "3", "drive.raw")], found
assert found["tape"] == "tape" and found["exit_code"] == 0' "$out"

# A second volume, and what is no archive.
new_library
make_random 3.raw 3000320 3
TAPE_ROOM=2600000 on_tape backup -q -o tape --next-volume 'sh next' 3.raw
"$PYTHON" -c 'import struct
with open("tape", "ab") as tape:
    tape.write(struct.pack("=I", 70000) + bytes(range(200)) * 350 + bytes(4))'
rewind
expect_code 1 on_tape list tape
expect_text "$out" '     1       2  '
expect_text "$err" 'archive 2: tape: is not an archive'
expect_code 1 on_tape list tape --json
"$PYTHON" -c 'import json, sys
first, second = json.load(open(sys.argv[1]))["archives"]
assert first["volume"] == 2 and "error" in second' "$out"
load 1
expect_code 0 on_tape list tape
expect_text "$out" '     1       1  '
