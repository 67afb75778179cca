# A tape has records of 256 KiB unless others are asked for; of a drive that is set to blocks of one size
# they are a multiple. What cannot be is refused before anything is written.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 1000448 1
expect_whole()
{
	rewind
	expect_code 0 on_tape restore --no-sync tape -C back
	same_file drive.raw back/disk0.raw
	rm -r back
}

for how in '--format vmab' '--format vma' '--no-sync'; do
	new_tape
	# shellcheck disable=SC2086 # a list of words
	expect_code 0 on_tape backup -o tape $how drive.raw
	expect_blocks '262144 0'
	expect_whole
done
new_tape
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
expect_code 0 on_tape convert a.vmab -o tape
expect_blocks '262144 0'
expect_whole
new_tape
expect_code 0 sh -c 'LD_PRELOAD=$TAPE_LIBRARY "$VMABAK" backup -o - drive.raw >>tape'
expect_blocks '262144 0'
expect_whole
new_tape
expect_code 0 on_tape backup -o tape --record-size 64K drive.raw
expect_blocks '65536 0'

# Compressed streams are padded, too: readers know it.
for method in zstd gzip; do
	new_tape
	expect_code 0 on_tape backup -o tape --format vma --compress $method drive.raw
	expect_blocks '262144 0'
	expect_whole
done

# Blocks of one size.
for block in 512 10240 65536 524288; do
	export TAPE_BLOCK=$block
	new_tape
	expect_code 0 on_tape backup -o tape drive.raw
	expect_blocks "$block 0"
	expect_whole
done
TAPE_BLOCK=10240
new_tape
expect_error 2 'must be a multiple of 10240' on_tape backup -o tape --record-size 64K drive.raw
expect_text "$err" 'vmabak: tape: ' '65536' 'mt -f TAPE setblk 0'
[ ! -s tape ] || fail "something was written"
expect_code 0 on_tape backup -o tape --record-size 20K drive.raw
new_tape
expect_code 0 on_tape backup -o tape --format vma --compress gzip drive.raw
expect_whole
unset TAPE_BLOCK
new_tape
expect_error 1 'the tape drive rejects records of 2097152 bytes' on_tape backup -o tape --record-size 2M drive.raw
[ ! -s tape ] || fail "something was written"

# Read with another block size than it was written with.
new_tape
expect_code 0 on_tape backup -o tape --record-size 64K drive.raw
rewind
export TAPE_BLOCK=32768
expect_error 1 'set to blocks of 32768 bytes' on_tape verify tape
expect_text "$err" 'mt -f TAPE setblk 0'
