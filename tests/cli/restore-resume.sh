# A restore with --resume that broke off, in any way, is taken up: what is on the target is compared by its checksums, and
# only what is missing or differs is written.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 6000001 1
dd if=/dev/zero of=disk.raw bs=65536 seek=20 count=30 conv=notrunc status=none
cp disk.raw was.raw
expect_code 0 "$VMABAK" backup -q --compress none -o 0.vmab disk=disk.raw
put disk.raw 3500000 x
expect_code 0 "$VMABAK" backup -q --parent 0.vmab -o 1.vmab disk=disk.raw
kept=.t.raw.resume.part

written()
{
	[ -f $kept ] && [ "$(allocated $kept)" -ge "$1" ]
}
# broken SIGNAL KIB ARCHIVE: ends once so much is written
broken()
{
	in_background "$VMABAK" restore --resume --rate 800K "$3" -d disk=t.raw
	wait_until written "$2"
	kill -"$1" $pid
	wait $pid || true
	expect_no_text "$err" 'nothing was kept'
	[ ! -e t.raw ] || fail 'is there'
}
# done_by TEST ARCHIVE DRIVE: TEST is of w, the bytes that were written
done_by()
{
	expect_code 0 "$VMABAK" restore --json --resume "$2" -d disk=t.raw
	expect_json "$out" "(lambda w: $1)(d['written_bytes'])"
	same_file t.raw "$3"
	[ ! -e $kept ] || fail 'still there'
	rm t.raw
}

done_by 'w > 4000000' 0.vmab was.raw
broken KILL 600 0.vmab
paused_copy=$(allocated $kept)
broken TERM $((paused_copy + 600)) 0.vmab
done_by '0 < w < 3000000' 0.vmab was.raw

# No room; a chain; what is there may be damaged, or of another archive, or larger.
expect_code 6 sh -c 'ulimit -f 4000; "$@"' - "$VMABAK" restore --resume 0.vmab -d disk=t.raw
[ ! -e $kept ] || fail 'nothing was written, and it was kept'
broken KILL 600 0.vmab
put $kept 100000 damaged
put $kept 2000000 damaged
done_by '65536 < w < 5000000' 1.vmab disk.raw
cp was.raw $kept
put $kept 2000000 damaged
printf '%70000s' x >>$kept
done_by 'w == 65536 * 2' 1.vmab disk.raw
cp disk.raw $kept
done_by 'w == 0' 1.vmab disk.raw
make_random $kept 3000000 2
done_by 'w > 4000000' 1.vmab disk.raw

# Damage in the archive is found before it is written, and what is kept stays kept.
cp 0.vmab bad.vmab
flip bad.vmab 3000000
expect_code 4 "$VMABAK" restore --resume bad.vmab -d disk=t.raw
[ -f $kept ] && [ ! -e t.raw ] || fail 'not kept'
done_by 'w < 4500000' 0.vmab was.raw

# Two at once; without the option what was kept goes; what exists needs --force, and is compared then.
in_background "$VMABAK" restore --resume --rate 800K 0.vmab -d disk=t.raw
wait_until written 400
paused $pid expect_error 7 'another run is writing it' "$VMABAK" restore --resume 0.vmab -d disk=t.raw
kill -KILL $pid
wait $pid || true
expect_code 0 "$VMABAK" restore 0.vmab -d disk=t.raw
[ ! -e $kept ] || fail 'left'
expect_error 2 '--force overwrites it' "$VMABAK" restore --resume 0.vmab -d disk=t.raw
put t.raw 100000 x
expect_code 0 "$VMABAK" restore --json --resume --force 0.vmab -d disk=t.raw
expect_json "$out" "d['written_bytes'] == 65536"
same_file t.raw was.raw
expect_error 2 'raw files, block devices and NBD exports' "$VMABAK" restore --resume 0.vmab -d disk=t.qcow2
expect_error 2 'raw files, block devices and NBD exports' sh -c '"$VMABAK" restore --resume 0.vmab -d disk=- | cat; exit 2'
rm t.raw

# What somebody has put in the place of what is written is not taken for it, also where that was there before.
replaced()
{
	wait_until [ -e "$1" ]
	mv "$1" away
	echo other >"$1"
	ended_with 1 $pid
	expect_text "$err" 'was removed or replaced'
	[ "$(cat "$1")" = other ] || fail 'it was touched'
	rm "$1" away
}
overwritten() { ! cmp -s t.raw other.raw; }
in_background "$VMABAK" restore --resume --rate 2M 0.vmab -d disk=t.raw
replaced $kept
[ ! -e t.raw ] || fail 'is there'
tr 'a-z' 'b-za' <disk.raw >other.raw
cp other.raw t.raw
in_background "$VMABAK" restore --force --rate 2M 0.vmab -d disk=t.raw
wait_until overwritten
replaced t.raw
rm other.raw
nothing_but 0.vmab 1.vmab 1.vmab.sums bad.vmab disk.raw was.raw
