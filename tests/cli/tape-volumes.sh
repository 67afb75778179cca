# An archive goes on on the next tape when one is full. Each volume says what it is, and is read in order.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 5000192 1
export TAPE_ROOM=2600000
expect_back()
{
	load 1
	expect_code 0 on_tape restore -q --no-sync tape -C back --next-volume 'sh next'
	same_file drive.raw back/disk0.raw
	rm -r back
}

for how in '' '--format vma' '--record-size 64K' '--format vma --compress zstd' '--format vma --compress gzip'; do
	new_library
	# shellcheck disable=SC2086 # a list of words
	expect_code 0 on_tape backup -o tape $how --next-volume 'sh next' drive.raw
	[ "$(cat in)" = 3 ] || fail "the archive is on $(cat in) tapes"
	expect_text asked 'write 2 ' 'a blank one is wanted for volume 2'
	expect_back
	load 1
	expect_code 0 on_tape verify tape --next-volume 'sh next'
	expect_text asked 'read 3 '
done
new_library
export TAPE_BLOCK=65536
expect_code 0 on_tape backup -o tape --next-volume 'sh next' drive.raw
expect_back

# Blocks of one size: the tape ends within a record, and the next one begins with it.
n_cut=0
for room in 2400000 2450000 2500000 2600000; do
	new_library
	export TAPE_ROOM=$room TAPE_BEHIND=0
	expect_code 0 on_tape backup -o tape --next-volume 'sh next' drive.raw
	unset TAPE_BEHIND
	n_cut=$((n_cut + ($(wc -c <t1) - 4) / 65540 % 4))
	export TAPE_ROOM=2600000
	expect_back
done
unset TAPE_BLOCK
[ $n_cut -gt 0 ] || fail "no tape ended within a record"

# A convert confines itself, and still gets at the next tape; on both sides.
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
new_library
expect_code 0 on_tape convert a.vmab -o tape --next-volume 'sh next'
expect_back
load 1
expect_code 0 on_tape convert tape -o b.vmab --next-volume 'sh next'
same_file a.vmab b.vmab
rm b.vmab

# Copies of the volumes in files are read one after another.
load 5
cat_volumes t1 t2 t3 >all
expect_code 0 "$VMABAK" verify all
expect_code 0 sh -c '"$VMABAK" verify - <all'
for tool in xxhash zstandard; do
	need_python $tool
done
expect_code 0 "$PYTHON" "$SRC/spec/restore.py" all back
same_file drive.raw back/disk0.raw
rm -r back
cat_volumes t1 t3 >some
expect_code 4 "$PYTHON" "$SRC/spec/restore.py" some back
expect_error 2 'volume 2 is wanted, and this is volume 3' "$VMABAK" verify some
cat_volumes t1 t2 >some
expect_error 4 'volume 3 follows' "$VMABAK" verify some
cat_volumes t2 >some
expect_error 2 'this is volume 2 of the archive' "$VMABAK" verify some

# Without anybody who changes tapes.
load 1
expect_error 4 'volume 2 follows: use --next-volume COMMAND' on_tape verify tape
load 2
expect_error 2 'volume 1 is wanted first' on_tape verify tape
load 4
expect_error 6 'tape: the tape is full at byte ' on_tape backup -o tape drive.raw
expect_text "$err" '--next-volume COMMAND'

# A reader asks until it is the right one; but not a command that does the wrong thing.
load 2
expect_code 0 on_tape verify tape --next-volume 'sh next'
load 1
expect_error 4 'volume 2 is wanted, and this is volume 3' on_tape verify tape --next-volume 'sh next 3'
load 1
expect_error 4 'volume 2 is wanted, and this is volume 1' on_tape verify tape --next-volume true
load 1
expect_error 4 'this tape is blank' on_tape verify tape --next-volume 'sh next 5'
load 1
expect_error 1 'the command failed with exit code 7' on_tape verify tape --next-volume 'exit 7'
load 1
expect_code 1 on_tape verify tape --next-volume 'kill -9 $$'
expect_text "$err" 'the command failed with exit code 137'
