# A file that behaves like a tape in a drive, by tests/fault/tape.c. After lib.sh.

need_tape()
{
	TAPE=$PWD/tape
	TAPE_LIBRARY=$SRC/build/release/tape.so
	export TAPE TAPE_LIBRARY
	[ -f "$TAPE_LIBRARY" ] || fail "no $TAPE_LIBRARY: run make live-tools"
	env LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" --version >"$out" 2>&1 ||
		skip "nothing can be preloaded into this vmabak: $(head -n 1 "$out")"
	new_tape
}

new_tape()
{
	: >"$TAPE"
	rm -f "$TAPE.at"
}

rewind()
{
	rm -f "$TAPE.at"
}

# The program, with the tape in its drive.
on_tape()
{
	LD_PRELOAD=$TAPE_LIBRARY "$VMABAK" "$@"
}

# The sizes of what is on the tape, in order, equal ones once; 0 is a filemark.
tape_blocks()
{
	"$PYTHON" -c 'import struct, sys
last, data = None, open(sys.argv[1], "rb").read()
at = 0
while at < len(data):
    size, = struct.unpack_from("=I", data, at)
    at += 4 + size
    if size != last:
        print(size, end=" ")
    last = size
print()' "$TAPE"
}

# expect_blocks SIZES
expect_blocks()
{
	[ "$(tape_blocks)" = "$1 " ] || fail "on the tape are blocks of $(tape_blocks), expected $1"
}

# A library of tapes, t1, t2, ...; the one in the drive is $TAPE, and `in` has its number.
new_library()
{
	rm -f t[0-9] "$TAPE" "$TAPE.at" asked
	for lib_tape in 1 2 3 4 5; do
		: >t$lib_tape
	done
	load 1
	# As commands get what is wanted.
	cat >next <<'END'
set -eu
echo "$VMABAK_USE $VMABAK_VOLUME $VMABAK_ARCHIVE $VMABAK_WHY" >>asked
mv -f "$VMABAK_TAPE" "t$(cat in)"
mv -f "t${1:-$VMABAK_VOLUME}" "$VMABAK_TAPE"
: >"$VMABAK_TAPE.at"
echo "${1:-$VMABAK_VOLUME}" >in
END
}

# load N: into the drive, rewound.
load()
{
	[ ! -e "$TAPE" ] || mv "$TAPE" "t$(cat in)"
	mv "t$1" "$TAPE"
	echo "$1" >in
	rewind
}

# cat_volumes TAPE...: what is on them, without filemarks.
cat_volumes()
{
	"$PYTHON" -c 'import struct, sys
for name in sys.argv[1:]:
    data, at = open(name, "rb").read(), 0
    while at < len(data):
        size, = struct.unpack_from("=I", data, at)
        sys.stdout.buffer.write(data[at + 4:at + 4 + size])
        at += 4 + size' "$@"
}
