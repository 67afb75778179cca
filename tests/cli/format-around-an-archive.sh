# What is around an archive as people have it: pzstd's output, skippable frames, zeros of a last record, several members;
# and windows that are too large are told with the pipe that works.
# long: two hundred commands
. "$(dirname "$0")/lib.sh"

need zstd gzip lzop xz bzip2
make_random drive.raw 500000 1
expect_code 0 "$VMABAK" backup --no-sync -o a.vmab drive.raw
good()
{
	expect_code 0 "$VMABAK" verify "$1"
	expect_code 0 sh -c '"$VMABAK" verify - <"$1"' sh "$1"
	expect_code 0 "$VMABAK" restore --no-sync "$1" -C back
	same_file drive.raw back/disk0.raw
	rm -r back
	expect_code 0 "$VMABAK" salvage --no-sync "$1" -C back
	rm -r back
}
for first in 120 124 137; do	# 50, 54 and 5f
	{ printf "\\$first\\052\\115\\030\\003\\000\\000\\000abc" && zstd -qc a.vmab; } >skip.zst
	good skip.zst
done
if command -v pzstd >/dev/null; then
	pzstd -q -c a.vmab >p.zst
	good p.zst
fi
for filter in zstd gzip lzop xz bzip2; do
	{ $filter -c <a.vmab && head -c 65536 /dev/zero; } >padded
	good padded
done
head -c 200000 a.vmab >1
tail -c +200001 a.vmab >2
for filter in zstd gzip xz bzip2; do
	{ $filter -c <1 && $filter -c <2 && head -c 512 /dev/zero; } >members
	good members
done

# A window of 1 GiB; the frame is made by a stream whose size is not known.
truncate -s 130M large.raw
if zstd -q --long=30 -c <large.raw >long.zst 2>/dev/null; then
	for command in verify list 'restore -C back' salvage; do
		# shellcheck disable=SC2086 # words
		expect_error 1 'window above 128 MiB (zstd --long): zstd -dc --long=31 FILE | vmabak' "$VMABAK" $command long.zst
	done
fi
