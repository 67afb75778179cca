# What is on a tape is not overwritten: not this archive's own volumes, ever; and nothing else without --force.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 3000320 1
make_random other.raw 300032 2
export TAPE_ROOM=2600000
again=': >tape.at; echo "$VMABAK_WHY" >>asked'

# refused TEXT TAPE OPTION...: for volume 2 that tape is offered, and stays as it is.
refused()
{
	refused_text=$1 refused_tape=$2
	shift 2
	cp "t$refused_tape" before
	expect_error 1 "$refused_text" on_tape backup -o tape --next-volume "sh next $refused_tape" "$@" drive.raw
	load 5
	cmp -s before "t$refused_tape" || fail "tape $refused_tape was written to"
}

# The tape that is full already, offered again: three times, and then given up.
for force in '' --force; do
	new_library
	# shellcheck disable=SC2086 # a list of words
	expect_error 1 'no tape for volume 2: this tape has another volume of this very archive' \
		on_tape backup -q -o tape $force --next-volume "$again" drive.raw
	[ "$(grep -c 'another volume' asked)" = 2 ] || fail "asked: $(cat asked)"
done

# It is not the first archive of the tape: --force finds it all the same.
new_library
expect_code 0 on_tape backup -o tape other.raw
expect_error 1 'this tape has volume 1 of the archive' on_tape backup -o tape --next-volume "$again" drive.raw
new_library
expect_code 0 on_tape backup -o tape other.raw
expect_error 1 'another volume of this very archive' on_tape backup -o tape --force --next-volume "$again" drive.raw
# A tape that cannot be read to its end may have one: --force does not overwrite it.
new_library
expect_code 0 on_tape backup -o tape other.raw
load 2
TAPE_STUCK=1
export TAPE_STUCK
refused 'it may have another volume of this very archive' 1 --force
unset TAPE_STUCK

# Other archives and other data.
new_library
expect_code 0 on_tape backup -o tape other.raw
load 2
refused 'this tape has volume 1 of the archive' 1
load 1
"$PYTHON" -c 'import struct
with open("tape", "wb") as tape:
    tape.write(struct.pack("=I", 70000) + bytes(range(200)) * 350 + bytes(4))'
load 2
refused 'this tape is not blank; --force overwrites it' 1
load 2
expect_code 0 on_tape backup -o tape --force --next-volume "sh next 1" drive.raw
load 2
expect_code 0 on_tape verify tape --next-volume "sh next 1"

# A tape that cannot be written, a command that fails or is killed.
new_library
expect_error 1 'exit code 7' on_tape backup -o tape --next-volume 'exit 7' drive.raw
new_library
expect_code 1 on_tape backup -o tape --next-volume 'kill $$' drive.raw
expect_text "$err" 'exit code 143'
new_library
expect_error 1 'no tape for volume 2' on_tape backup -o tape --next-volume 'rm -f tape' drive.raw
new_library
chmod 444 t2
expect_error 1 'no tape for volume 2: tape: the tape is write-protected' on_tape backup -o tape --next-volume 'sh next 2' drive.raw

# After a refusal the command may bring the right one.
new_library
expect_code 0 on_tape backup -o tape --next-volume '[ -s asked ] && exec sh next; : >tape.at; echo >>asked' drive.raw
load 1
expect_code 0 on_tape verify tape --next-volume 'sh next'
