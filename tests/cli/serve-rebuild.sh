# checkpoint rebuild of a serve: an archive that no map knows, as it was made before, or as the map was lost, becomes a
# checkpoint by comparing; increments of it are right, and read what changed alone. An archive of another machine, a
# damaged one, one of another size and one that lacks a drive are told, and none makes an increment wrong.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
rebuild()
{
	expect_code "$1" "$VMABAK" checkpoint rebuild --json --parent "$2" serve:c.sock
}
# increment CODE NAME PARENT LISTED: what was listed of each drive, in Python; None: it was not known.
increment()
{
	expect_code "$1" live "$2.vmab" -q --json --parent "$3" --force
	expect_json "$out" "[x['proof'] and x['proof']['listed_clusters'] for x in d['drives']] == $4"
	for lib_drive in a b; do
		[ ! -e $lib_drive.raw ] || restored_is "$2.vmab" $lib_drive $lib_drive.raw
	done
}
restored_is()
{
	rm -f restored.raw
	expect_code 0 "$VMABAK" restore -q --parents . "$1" -d "$2=restored.raw"
	same_file "$3" restored.raw
}
state_of()
{
	expect_code 0 "$VMABAK" checkpoint list --json serve:c.sock
	"$PYTHON" -S -c 'import json, sys
print(*[c["state"] for c in json.load(open(sys.argv[1]))["checkpoints"] if c["name"] == sys.argv[2]])' "$out" "$1"
}
uuid_of()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -S -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'
}

make_random a.raw 5000001 1
make_random b.raw 3000001 2
expect_code 0 "$VMABAK" backup -q -o 0.vmab a=a.raw b=b.raw
put a.raw 5000000 before
truncate -s 5000001 a.raw
start_serve --map a=a.map a=a.raw b=b.raw

# A full from before: it is compared without a word, as ever, until it is rebuilt.
guest a 'h.pwrite(b"x" * 512, 5 * 65536); h.flush()'
increment 0 unknown 0.vmab '[None, None]'
expect_code 0 "$VMABAK" checkpoint rebuild --parent 0.vmab serve:c.sock --progress-fd 3 3>progress
[ "$(tail -n 1 progress)" = 100/100 ] || fail "progress: $(cat progress)"
expect_text "$err" 'drive a: 2 of 77 clusters differ from 0.vmab' 'drive b: 0 of 46 clusters differ'
guest a 'h.pwrite(b"y" * 512, 7 * 65536); h.flush()'
increment 0 1 0.vmab '[3, 0]'
increment 0 2 1.vmab '[0, 0]'
rebuild 0 0.vmab
expect_json "$out" "[x['known'] for x in d['drives']] == [True, True]" "d['checkpoint'] == '$(uuid_of 0.vmab)'"
rebuild 0 1.vmab
expect_json "$out" "[x['known'] for x in d['drives']] == [True, True]"

# More was recorded than differs: that of before does not count again. Other chains stay what they are.
guest a '[h.pwrite(h.pread(512, i * 65536), i * 65536) for i in range(70)]; h.flush()'
expect_code 0 "$VMABAK" backup -q -o late.vmab a=nbd+unix:///a?socket=n.sock b=nbd+unix:///b?socket=n.sock
guest a 'h.pwrite(b"z" * 512, 9 * 65536); h.flush()'
rebuild 0 late.vmab
expect_json "$out" "[x['differing_clusters'] for x in d['drives']] == [1, 0]" "not any(x['known'] for x in d['drives'])"
guest a 'h.pwrite(b"z" * 512, 10 * 65536); h.flush()'
increment 0 later late.vmab '[70, 0]'
increment 0 3 2.vmab '[70, 0]'
expect_code 0 live instant.vmab -q
expect_code 0 "$VMABAK" backup -q -o late2.vmab a=nbd+unix:///a?socket=n.sock b=nbd+unix:///b?socket=n.sock
rebuild 0 late2.vmab
guest a 'h.pwrite(b"z" * 512, 11 * 65536); h.flush()'
increment 0 later2 late2.vmab '[1, 0]'
expect_code 0 "$VMABAK" checkpoint delete "$(uuid_of late2.vmab)" serve:c.sock
increment 0 later2 late2.vmab '[None, None]'

# The tracker is lost: of a its file, of b what was in memory. Then what was rebuilt is kept by a stop, and by a kill.
stop_serve
rm a.map
put a.raw 100000 offline
start_serve --map a=a.map a=a.raw b=b.raw
increment 3 lost 3.vmab '[None, None]'
rebuild 0 3.vmab
guest a 'h.pwrite(b"v" * 512, 30 * 65536); h.flush()'
increment 0 4 3.vmab '[3, 0]'
kill_serve
start_serve --map a=a.map a=a.raw b=b.raw
increment 3 4 3.vmab '[3, None]'

# Nothing of another machine; and nobody takes an instant meanwhile.
make_random other.raw 5000001 9
make_random small.raw 3000001 2
expect_code 0 "$VMABAK" backup -q -o named.vmab c=other.raw
expect_code 0 "$VMABAK" backup -q -o alien.vmab a=other.raw
expect_error 2 'no drive that is called like one of this machine' "$VMABAK" checkpoint rebuild --parent named.vmab serve:c.sock
rebuild 3 alien.vmab
expect_text "$out" 'next to nothing of it is as alien.vmab has it' 'drive b: the archive has no drive of that name'
increment 0 of_alien alien.vmab '[77, None]'
# The drive has grown since.
expect_code 0 "$VMABAK" backup -q -o grown.vmab a=small.raw
rebuild 3 grown.vmab
increment 0 of_grown grown.vmab "[77, None]"
expect_code 0 "$VMABAK" sums -q 3.vmab -o damaged.sums
put damaged.sums 600 damage
expect_code 4 "$VMABAK" checkpoint rebuild --parent damaged.sums serve:c.sock
cp 0.vmab damaged.vmab
put damaged.vmab 9000 damage
expect_code 4 "$VMABAK" checkpoint rebuild --parent damaged.vmab serve:c.sock
expect_error 1 'No such file' "$VMABAK" checkpoint rebuild --parent none.vmab serve:c.sock
expect_error 2 '--parent ARCHIVE is missing' "$VMABAK" checkpoint rebuild serve:c.sock
expect_error 2 'rebuild needs the server of the map' sh -c 'cp a.map off.map; "$VMABAK" checkpoint rebuild --parent 0.vmab off.map'
stalled_backup
expect_error 7 'another backup' "$VMABAK" checkpoint rebuild --parent 0.vmab serve:c.sock
cat <&5 >/dev/null
wait "$backup" || fail "the backup: $(cat said)"
stop_serve
start_serve --read-only a=a.raw b=b.raw
rebuild 3 0.vmab
expect_text "$out" 'drive a: nothing records its changes'
stop_serve
