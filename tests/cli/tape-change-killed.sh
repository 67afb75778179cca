# A run that is killed or interrupted while another tape is put in: what was on the tapes is whole, the volume that was written ends whole,
# the command that changes tapes has ended, and the next archive goes behind.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
need_python
make_random small.raw 300032 1
make_random drive.raw 3000320 2
export TAPE_ROOM=2600000
# at_archive N: the tape stands behind N - 1 filemarks
at_archive()
{
	"$PYTHON" -c 'import struct, sys
data, at, left = open("tape", "rb").read(), 0, int(sys.argv[1]) - 1
while left > 0:
    size, = struct.unpack_from("=I", data, at)
    at += 4 + size
    left -= size == 0
open("tape.at", "wb").write(struct.pack("=q", at))' "$1"
}
is_asked()
{
	[ -s command ]
}
has_ended()
{
	! kill -0 "$(cat command)" 2>/dev/null
}
# begin: an archive behind a small one; its run waits for the second tape
begin()
{
	new_library
	rm -f command
	expect_code 0 on_tape backup -q -o tape small.raw
	in_background env LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -q -o tape --next-volume 'echo $$ >command; exec sleep 1000' drive.raw
	wait_until is_asked
}
# is_left: what is on the tape then
is_left()
{
	wait_until has_ended
	rewind
	expect_code 0 on_tape list tape
	[ "$(awk '{ print $1, $2 }' "$out" | tr '\n' ' ')" = 'NUMBER VOLUME 1 1 2 1 ' ] || fail "on the tape is $(cat "$out")"
	expect_code 0 on_tape verify tape
	at_archive 2
	expect_error 4 'volume 2 follows' on_tape verify tape
}

for signal in KILL INT TERM; do
	begin
	kill -$signal "$pid"
	wait "$pid" || :
	is_left
done

# What has all its volumes is found by filemarks whatever lies before it, and an archive can still follow.
TAPE_ROOM=100000000 expect_code 0 on_tape backup -q -o tape small.raw
at_archive 3
expect_code 0 on_tape restore -q --no-sync tape -C back
same_file small.raw back/disk0.raw
at_archive 1
expect_code 0 on_tape restore -q --no-sync tape -C back1
same_file small.raw back1/disk0.raw
