# A server that is killed: its backup fails and leaves nothing, what was flushed is there when it is
# started again, and the map names all that was written.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh nbdinfo
make_random a.raw 50000000 1
mkdir to
start_serve --map a.map a=a.raw
expect_text serve.err 'drive a: map a.map: new'
guest a '
for i in range(0, 600, 7):
    h.pwrite(b"w" * 512, i * 65536 + 1000)
h.flush()'
"$VMABAK" backup serve:c.sock --rate 3M -o to/a.vmab 2>said &
backup=$!
wait_until backup_runs
guest a 'h.pwrite(b"v" * 512, 700 * 65536, nbd.CMD_FLAG_FUA)'
kill_serve
ended_with 1 $backup
expect_text said 'the server ended before the backup was complete'
[ -z "$(ls -A to)" ] || fail "left: $(ls -A to)"

# The same command, over sockets that are still there.
[ -S c.sock ] || fail "no socket is left: nothing to replace"
start_serve --map a.map a=a.raw
expect_text serve.err 'drive a: map a.map: killed'
expect_no_text serve.err 'begun anew'
guest a '
for i in range(0, 600, 7):
    assert h.pread(512, i * 65536 + 1000) == b"w" * 512
assert h.pread(512, 700 * 65536) == b"v" * 512'
status "s['drives'][0]['map']['trust'] == 'killed'" "s['drives'][0]['map']['generation'] == 2"
nbdinfo --json --map=qemu:dirty-bitmap:since-0 'nbd+unix:///a?socket=n.sock' >since-0.json
nbdinfo --json --map=qemu:dirty-bitmap:since-1 'nbd+unix:///a?socket=n.sock' >since-1.json
expect_json since-0.json "[e['offset'] for e in d if e['type'] == 1] == [i * 65536 for i in list(range(0, 600, 7)) + [700]]" \
	"all(e['length'] == 65536 for e in d if e['type'] == 1)"
expect_json since-1.json "[(e['offset'], e['length']) for e in d if e['type'] == 1] == [(700 * 65536, 65536)]"
expect_code 0 live to/b.vmab
restored_is to/b.vmab a a.raw
stop_serve
