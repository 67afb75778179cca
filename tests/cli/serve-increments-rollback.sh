# Drive and map are returned to an earlier state together, as by a snapshot of the file system below both: what was backed
# up since is compared, and not taken for the generation of the same number that has ended again meanwhile.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 4000000 1
start_serve --map a=a.map a=a.raw
expect_code 0 live 0.vmab -q
stop_serve
cp -p a.raw old.raw
cp -p a.map old.map
start_serve --map a=a.map a=a.raw
guest a 'h.pwrite(b"lost", 1000000)'
expect_code 0 live 1.vmab -q --parent 0.vmab
stop_serve
roll_back()
{
	cat old.raw >a.raw
	touch -r old.raw a.raw
	cat old.map >a.map
	touch -r old.map a.map
	start_serve --map a=a.map a=a.raw
}
roll_back
expect_text serve.err 'a.map: clean'
expect_code 3 live early.vmab -q --parent 1.vmab
expect_text "$err" 'drive a: all of it is compared' 'an older copy'
guest a 'h.pwrite(b"again", 2000000)'
expect_code 3 live 2.vmab -q --parent 1.vmab
expect_text "$err" 'drive a: all of it is compared' 'returned to an earlier state'
restored_is 2.vmab a a.raw
guest a 'h.pwrite(b"later", 3000000)'
expect_code 0 live 3.vmab --parent 2.vmab --json
expect_json "$out" "d['data_clusters'] == 1"
restored_is 3.vmab a a.raw
stop_serve

# Once more, and the generation ends again in a backup that fails, or without one; deleting a checkpoint is no such thing.
roll_back
expect_code 1 live gone/failed.vmab -q --parent 0.vmab
stalled_backup
kill -9 $backup
wait $backup 2>/dev/null || :
exec 5<&-
guest a 'h.pwrite(b"once more", 2500000)'
expect_code 3 live 4.vmab -q --parent 1.vmab
expect_text "$err" 'drive a: all of it is compared' 'does not know that backup'
restored_is 4.vmab a a.raw
for i in 0 4; do
	uuid=$("$VMABAK" list --json $i.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
	expect_code 0 "$VMABAK" checkpoint delete --force "$uuid" serve:c.sock
done
stop_serve
start_serve --map a=a.map a=a.raw
expect_code 0 live 5.vmab -q --parent 4.vmab
expect_code 0 live 6.vmab -q --parent 0.vmab
restored_is 6.vmab a a.raw
stop_serve
