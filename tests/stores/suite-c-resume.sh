# Backups and restores that are killed, and taken up. Sourced by suite.sh.
make_random held.raw 70000000 7
o=s3://backups/resumed.vmab
# What the run before has left is told by the next one: at least a part of 16 MiB.
killed()
{
	in_background env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --resume --compress none --rate 12M -o $o held=held.raw
	wait_until uploading
	sleep 3 # of work: there is nothing to be asked of the store that all stores tell
	kill -KILL "$pid"
	wait "$pid" || :
	uploading || fail "a killed run left no note"
	expect_error 1 'there is no such object' "$VMABAK" list $o
}
killed
killed
expect_code 0 "$VMABAK" backup --json --resume --compress none -o $o held=held.raw
expect_json "$out" "d['kept_bytes'] >= 16 << 20"
no_notes
# Byte for byte what a run that did not break off writes, of the time of the first one.
get backups/resumed.vmab resumed.vmab
uuid=$("$VMABAK" list --json $o | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup -q --uuid "$uuid" --compress none -o once.vmab held=held.raw
same_file once.vmab resumed.vmab
passed 'backup --resume'

in_background "$VMABAK" restore --resume --rate 12M $o -d held=back.raw
half_back()
{
	[ -f .back.raw.resume.part ] && [ "$(allocated .back.raw.resume.part)" -ge 20000 ]
}
wait_until half_back
kill -KILL "$pid"
wait "$pid" || :
expect_code 0 "$VMABAK" restore --json --resume $o -d held=back.raw
expect_json "$out" "0 < d['written_bytes'] < 60000000"
same_file held.raw back.raw
passed 'restore --resume'
