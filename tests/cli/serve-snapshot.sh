# vmabak snapshot: the drives of a serve at one instant, with what changed since a checkpoint, for real clients, while a guest
# goes on; the end of it, a kill, a full disk and a server that goes leave the source clean, and no data of another instant.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"
. "$CLI/snapshot.sh"

need nbdsh nbdinfo nbdcopy qemu-img
start_snapshot() { snapshot_of "$VMABAK" snapshot serve:c.sock "$@"; }
stop_snapshot()
{
	kill $snapshot
	ended_with 0 $snapshot
	[ ! -e s.sock ] || fail "the socket is left"
	wait_until no_backup
}

make_random a.raw 8000001 1
truncate -s 20M a.raw
make_random b.raw 3000001 2
start_serve --map a=a.map a=a.raw b=b.raw
expect_error 2 'has no good checkpoint none' "$VMABAK" snapshot serve:c.sock --nbd unix:s.sock --since none
expect_error 2 '--nbd is needed' "$VMABAK" snapshot serve:c.sock
expect_code 0 live 0.vmab -q
expect_code 0 "$VMABAK" checkpoint create mine serve:c.sock
guest a 'h.pwrite(b"x" * 512, 5 * 65536); h.pwrite(b"x", 70 * 65536); h.flush()'
cp a.raw a.then
cp b.raw b.then

# A guest writes meanwhile, and all over the drive.
start_snapshot --since mine --freeze-command 'echo freeze >>order' --thaw-command 'echo thaw >>order'
[ "$(cat order)" = "freeze
thaw" ] || fail "order: $(cat order)"
guest a 'h.pwrite(b"y" * 3000, 65536 - 1000); h.pwrite(b"z" * 100000, 15000000); h.zero(1 << 20, 2 << 20); h.flush()'
[ "$(dirty a)" = 131072 ] || fail "dirty: $(dirty a)"
[ "$(dirty b)" = 0 ] || fail "dirty: $(dirty b)"
expect_code 0 nbdinfo --list --json 'nbd+unix://?socket=s.sock'
expect_json "$out" "[e['export-name'] for e in d['exports']] == ['a', 'b']" "all(e['is_read_only'] for e in d['exports'])"
guest a 'import random
open("at-work", "w").write("yes")
while not __import__("os").path.exists("enough"):
    h.pwrite(random.randbytes(4096), random.randrange(20 * 2**20 - 4096))' &
writer=$!
on_exit "kill $writer 2>/dev/null"
wait_until [ -s at-work ]
expect_code 0 nbdcopy "$(uri a)" a.now
expect_code 0 nbdcopy "$(uri b)" b.now
expect_code 0 qemu-img compare -f raw -F raw a.then "$(uri a)"
expect_code 0 qemu-img convert -f raw -O raw "$(uri a)" a.converted
touch enough
wait $writer
same_file a.then a.now
same_file b.then b.now
same_file a.then a.converted
expect_code 0 nbdinfo --map --totals "$(uri a)"
expect_error 7 'another command, vmabak snapshot, of these drives is running' live 1.vmab --parent 0.vmab
expect_code 0 "$VMABAK" status c.sock
expect_text "$out" 'snapshot: '
status "s['backup']['snapshot']" "s['mirror'] == 'none'"
stop_snapshot

# Nothing is lost by it, nor by one that is killed: the increment is right, and the checkpoints are there.
expect_code 0 live 1.vmab -q --parent 0.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
restored_is 1.vmab a a.raw
start_snapshot -d b --since mine
guest b 'h.pwrite(b"w" * 3000000, 0); h.flush()'
expect_code 0 nbdcopy "$(uri b)" b.now
same_file b.then b.now
kill -9 $snapshot
wait $snapshot 2>/dev/null || :
guest b 'h.pwrite(b"v" * 512, 0); h.flush()'
expect_code 0 live 2.vmab -q --parent 1.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
restored_is 2.vmab b b.raw
expect_code 0 "$VMABAK" checkpoint list --json serve:c.sock
expect_json "$out" "[c['state'] for c in d['checkpoints']] == ['good'] * 4"
status "s['n_backups_failed'] == 0" "s['n_backups_done'] == 3"

# What a guest has just overwritten, read at once: it is on its way to the scratch file.
cp a.raw a.then
start_snapshot -d a
"$PYTHON" -c 'import nbd, sys
guest, snapshot = nbd.NBD(), nbd.NBD()
guest.connect_uri("nbd+unix:///a?socket=n.sock")
snapshot.connect_uri("nbd+unix:///a?socket=s.sock")
then = open("a.then", "rb").read()
for i in range(300):
    guest.pwrite(bytes([i % 256]) * 65536, i * 65536)
    if snapshot.pread(65536, i * 65536) != then[i * 65536:][:65536]:
        sys.exit(f"cluster {i} is of another instant")' || fail 'a read of what was just overwritten'
stop_snapshot

# What cannot be saved, or a server that goes, ends it with an error, and a reader gets one.
start_snapshot
kill_serve
ended_with 1 $snapshot
expect_text snapshot.err 'the server'
start_serve --map a=a.map a=a.raw b=b.raw
mkdir small
rm -f s.sock
expect_error 6 'the scratch file' sh -c 'ulimit -f 1; exec "$VMABAK" snapshot serve:c.sock --nbd unix:s.sock --scratch small'
guest a 'h.pwrite(b"on" * 512, 0); h.flush()'
stop_serve
