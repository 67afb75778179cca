# Nightly backups of a machine into an object store, by examples/nightly.sh: increments, pruned, and a restore.
. "$(dirname "$0")/../cli/lib.sh"
. "$CLI/store.sh"
store
EXAMPLES=$SRC/examples
mkdir bin
ln -s "$VMABAK" bin/vmabak
PATH=$PWD/bin:$PATH
VMABAK_FOLDER=s3://backups/night+day
export VMABAK_FOLDER

make_random web.raw 3000000 1
truncate -s 8M web.raw
for day in 1 2 3; do
	SOURCE_DATE_EPOCH=$(TZ=UTC date -d "2026-03-0$day 01:15" +%s)
	export SOURCE_DATE_EPOCH
	printf 'day %s' $day | dd of=web.raw bs=65536 seek=$day conv=notrunc status=none
	cp web.raw web.$day
	expect_code 0 "$EXAMPLES/nightly.sh" web 2 root=web.raw
	[ ! -s "$out" ] && [ ! -s "$err" ] || fail "cron would mail: $(cat "$out" "$err")"
done
expect_code 0 vmabak list $VMABAK_FOLDER/
expect_no_text "$out" 2026-03-01
for day in 2 3; do
	expect_code 0 vmabak restore $VMABAK_FOLDER/web-2026-03-0${day}T011500Z.vmab -C $day
	same_file web.$day $day/root.raw
done

# A night without the store: an error, and nothing is lost.
end_store
SOURCE_DATE_EPOCH=$((SOURCE_DATE_EPOCH + 86400))
timeout 100 "$EXAMPLES/nightly.sh" web 2 root=web.raw >"$out" 2>"$err" && fail "a store that is gone"
expect_text "$err" 's3://backups'
