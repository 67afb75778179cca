# A drive has a buffer: that data was lost it may tell at the filemark, and then the backup has failed. A
# full tape and one that is protected are told as such.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 2000384 1
for how in '-o tape' '-o tape --no-sync' '-o tape --format vma' '-o tape --record-size 1M'; do
	# shellcheck disable=SC2086 # a list of words
	expect_error 1 'tape: writing the filemark: the archive is not safely on the tape' \
		env TAPE_LATE=1 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup $how drive.raw
done
expect_error 1 'standard output: writing the filemark' \
	sh -c 'TAPE_LATE=1 LD_PRELOAD=$TAPE_LIBRARY "$VMABAK" backup -o - drive.raw >>tape'
expect_error 6 'tape: the tape is full at byte ' env TAPE_ROOM=1000000 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -o tape drive.raw
new_tape
expect_error 1 'tape: the tape is write-protected' env TAPE_PROTECTED=1 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -o tape drive.raw
expect_code 0 on_tape backup -o tape drive.raw
rewind
expect_code 0 env TAPE_PROTECTED=1 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" verify tape
