# A tape is read whatever the size of its blocks: the drive refuses reads above its limit, and a read
# that is smaller than a block loses it.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 5000192 1
expect_restored()
{
	rewind
	expect_code 0 on_tape "$@"
	same_file drive.raw back/disk0.raw
	rm -r back
}

for size in 4096 64K 262144 1000448 1M; do
	for how in '--format vmab' '--format vma'; do
		new_tape
		case $how in *vma) warned=3 ;; *) warned=0 ;; esac
		# shellcheck disable=SC2086 # a list of words
		expect_code $warned on_tape backup -o tape --record-size $size $how drive.raw
		rewind
		expect_code 0 on_tape verify tape
		expect_restored restore --no-sync tape -C back
	done
done
expect_restored restore --no-sync tape -C back --rate 8M # not in small reads
expect_restored salvage tape -C back
rewind
expect_code 0 on_tape list tape
rewind
expect_code 0 on_tape convert tape -o copy.vmab
expect_code 0 "$VMABAK" verify copy.vmab

# Standard input; and limits that are no powers of two, or the driver's own.
rewind
expect_code 0 sh -c 'LD_PRELOAD=$TAPE_LIBRARY "$VMABAK" verify - <tape'
for largest in 1000448 1050000 8388608 16777215; do
	export TAPE_LARGEST=$largest
	new_tape
	expect_code 0 on_tape backup -o tape --record-size $((largest / 65536 * 65536)) drive.raw
	expect_restored restore --no-sync tape -C back
done

TAPE_ADAPTER=3145728
export TAPE_ADAPTER
new_tape
expect_code 0 on_tape backup -o tape --record-size 2M drive.raw
expect_restored restore --no-sync tape -C back
unset TAPE_ADAPTER

# Compressed streams come in blocks too.
export TAPE_LARGEST=4194304
for method in zstd gzip; do
	new_tape
	expect_code 0 "$VMABAK" backup -o a --format vma --compress $method drive.raw
	"$PYTHON" -c 'import struct
data = open("a", "rb").read()
with open("tape", "wb") as tape:
    for at in range(0, len(data), 3 << 20):
        part = data[at:at + (3 << 20)]
        tape.write(struct.pack("=I", len(part)) + part)
    tape.write(bytes(4))'
	expect_restored restore --no-sync tape -C back
	rm a
done

# What is too large for the drive is told, with the way on.
TAPE_LARGEST=4194304 on_tape backup -q -o tape --record-size 2M drive.raw
rewind
expect_error 1 'a block of the tape is larger than 1048576 bytes' env TAPE_LARGEST=1048576 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" verify tape
expect_text "$err" 'vmabak: tape' 'dd if=TAPE ibs=SIZE | vmabak restore -'
rewind
expect_error 1 'tape: the tape drive refuses to read' env TAPE_LARGEST=1000 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" verify tape
expect_text "$err" 'dd if=TAPE ibs=SIZE | vmabak restore -'
