# What a drive says late counts, on each volume; and what can be recovered from some of the volumes is.
. "$(dirname "$0")/lib.sh"
. "$CLI/tape.sh"

need_tape
make_random drive.raw 5000192 1
export TAPE_ROOM=2600000

# The drive lost what it had buffered when the first tape ended, or does not count as many blocks as it got.
new_library
expect_error 1 'writing the filemark: the archive is not safely on the tape' env TAPE_LATE=1 TAPE_ROOM=-100 LD_PRELOAD="$TAPE_LIBRARY" \
	"$VMABAK" backup -o tape --force --next-volume 'sh next' drive.raw
[ ! -e asked ] || fail "the next tape was asked for"
new_library
expect_error 1 'the drive was given 11 blocks and counts 10' env TAPE_COUNTS=1 LD_PRELOAD="$TAPE_LIBRARY" \
	"$VMABAK" backup -o tape --next-volume 'sh next' drive.raw
[ ! -e asked ] || fail "the next tape was asked for"

# Behind early warning there is no room for the end of a volume: the next label says where it ended.
new_library
expect_code 0 env TAPE_BEHIND=0 TAPE_SILENT=1 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -o tape --next-volume 'sh next' drive.raw
load 1
expect_code 0 on_tape verify tape --next-volume 'sh next'

# The first tape is full of other archives.
new_library
expect_code 0 env TAPE_ROOM=100000000 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -o tape drive.raw
expect_code 0 env TAPE_BEHIND=0 LD_PRELOAD="$TAPE_LIBRARY" "$VMABAK" backup -o tape --next-volume 'sh next $((VMABAK_VOLUME + 1))' drive.raw
expect_text asked 'write 1 '

# Some volumes are lost. What the others have is recovered, and what is not is told.
new_library
expect_code 0 on_tape backup -o tape --next-volume 'sh next' drive.raw
salvage()
{
	rm -rf back
	rm -f asked
	expect_code 5 on_tape salvage tape -C back --json --next-volume "$1"
	"$PYTHON" -c 'import sys
old, new = open("drive.raw", "rb").read(), open("back/disk0.raw", "rb").read()
assert len(old) == len(new), (len(old), len(new))
same = sum(old[at:at + 65536] == new[at:at + 65536] for at in range(0, len(old), 65536))
assert same >= int(sys.argv[1]), same' "$2" || fail "too little was recovered"
}
load 1
salvage false 25
load 1
salvage 'case $VMABAK_VOLUME in 2) sh next 3 ;; *) false ;; esac' 35
load 1
expect_code 0 on_tape salvage tape -C whole --next-volume 'sh next'
same_file drive.raw whole/disk0.raw

# Without the first volume there is no head but its copy at the end, for which the rest is read twice.
load 4
cat_volumes t2 t3 >some
rm -rf back
expect_code 5 "$VMABAK" salvage some -C back
