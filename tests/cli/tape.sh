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
