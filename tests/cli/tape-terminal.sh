# Without --next-volume the user is asked at the terminal for the next tape, until it is the right one or nobody wants to go on.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
need_python
make_random drive.raw 3000320 1
export TAPE_ROOM=2600000
cat >swap <<'END'
mv -f tape "t$(cat in)" && mv -f "t$1" tape && : >tape.at && echo "$1" >in
END
# asked CODE VERB ARGUMENT... <STEPS
asked()
{
	asked_code=$1
	shift
	cat >steps
	expect_code "$asked_code" "$PYTHON" "$CLI/terminal.py" shown steps env LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" "$@"
}
# step TEXT COMMAND ANSWER
step()
{
	printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}
wanted='tape: the tape is full; a blank one is wanted for volume 2'

# Return without another tape, a tape with something else, and then the right one.
new_library
load 4
expect_code 0 on_tape backup -q -o tape --format vmab swap
load 1
{
	step "$wanted" true '\r'
	step 'this tape has another volume of this very archive' 'sh swap 4' '\r'
	step 'this tape has volume 1 of the archive' 'sh swap 2' '\r'
} | asked 0 backup -q -o tape drive.raw
expect_text shown 'Put it in, and press Return (q: give up): '
[ "$(cat in)" = 2 ] || fail "the archive is on $(cat in) tapes"
load 1
{
	step 'volume 2' 'sh swap 4' '\r'
	step 'volume 2 is wanted, and this is volume 1 of' 'sh swap 2' '\r'
} | asked 0 restore -q --no-sync tape -C back
same_file drive.raw back/disk0.raw

# No.
for answer in 'q\r' '\x04'; do
	new_library
	step "$wanted" true "$answer" | asked 1 backup -q -o tape drive.raw
	expect_text shown 'volume 2: given up'
done
# ^C reaches the one who asks, too, and he may be gone first: the run is interrupted all the same, and not given up.
new_library
step "$wanted" true '\x03' | asked 130 backup -q -o tape drive.raw
expect_no_text shown 'given up' 'is gone'
load 1
expect_error 4 'volume 2 follows' on_tape verify tape

# At no terminal nobody is asked.
new_library
expect_error 6 'the tape is full at byte' on_tape backup -o tape drive.raw
