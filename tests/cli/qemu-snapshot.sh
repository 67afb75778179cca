# vmabak snapshot of a QEMU: its drives at one instant, with what changed since a checkpoint, for real clients, while a guest
# goes on. However it ends, nothing of it is left in QEMU, the chain goes on, and no reader gets data of another instant.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"
. "$CLI/snapshot.sh"

need_images
need nbdinfo nbdcopy
small_drives
start_snapshot() { snapshot_of "$VMABAK" snapshot "qemu:$qmp" --nbd-server "$exports" --scratch "$PWD/scratch" "$@"; }
# What the drives hold now, as A.then and B.then.
keep_truth()
{
	qemu-img convert -U -f raw -O raw a.raw A.then
	qemu-img convert -f raw -O raw "$uri_B" B.then
}
checkpoints_are() # NUMBER
{
	expect_code 0 "$VMABAK" checkpoint list --json "qemu:$qmp" --state state
	expect_json "$out" "[c['state'] for c in d['checkpoints']] == ['good'] * $1"
}

expect_error 2 'drive A: has no good checkpoint mine' "$VMABAK" snapshot "qemu:$qmp" --nbd unix:s.sock --since mine --state state
[ ! -e state ] || fail "a folder was made"
expect_error 2 '--state needs --since' "$VMABAK" snapshot "qemu:$qmp" --nbd unix:s.sock --state state
expect_error 2 '--connect is for libvirt:DOMAIN' "$VMABAK" snapshot "qemu:$qmp" --nbd unix:s.sock --connect x
expect_error 2 '--nbd is needed' "$VMABAK" snapshot "qemu:$qmp"
expect_error 2 'must begin with a /' "$VMABAK" snapshot "qemu:$qmp" --nbd unix:s.sock --scratch here
expect_error 2 'a machine that runs' "$VMABAK" snapshot a.raw --nbd unix:s.sock
track 0 -q -o 0.vmab
expect_code 0 "$VMABAK" checkpoint create mine "qemu:$qmp" --state state
write_A 1 5M 100k
write_B 2 9M 64k
keep_truth

# A guest writes meanwhile, and all over the drive.
start_snapshot --since mine --state state --freeze-command 'echo freeze >>order' --thaw-command 'echo thaw >>order'
[ "$(cat order)" = "freeze
thaw" ] || fail "order: $(cat order)"
write_A 3 1000k 200k
write_A 4 5M 8k
write_B 5 1M 300k
# The last cluster is always told.
[ "$(dirty A)" = $((3 * 65536)) ] || fail "dirty: $(dirty A)"
[ "$(dirty B)" = $((2 * 65536)) ] || fail "dirty: $(dirty B)"
expect_code 0 nbdinfo --list --json 'nbd+unix://?socket=s.sock'
expect_json "$out" "[e['export-name'] for e in d['exports']] == ['A', 'B']" "all(e['is_read_only'] for e in d['exports'])"
# It asks for the monitor for some seconds.
"$VMABAK" backup -q "qemu:$qmp" --track --state state -o 1.vmab 2>second.err &
second=$!
on_exit "kill $second 2>/dev/null"
while [ ! -e enough ]; do
	qemu-io -f raw -c 'write -q -P 6 0 2M' -c 'write -q -z 7M 1M' -c 'write -q -P 8 12M 3M' "$uri_A"
	: >at-work
done &
writer=$!
on_exit "kill $writer 2>/dev/null"
wait_until [ -e at-work ]
expect_code 0 nbdcopy "$(uri A)" A.now
expect_code 0 nbdcopy "$(uri B)" B.now
expect_code 0 qemu-img compare -f raw -F raw A.then "$(uri A)"
expect_code 0 qemu-img convert -f raw -O raw "$(uri A)" A.converted
touch enough
wait $writer
same_file A.then A.now
same_file B.then B.now
same_file A.then A.converted
expect_code 0 nbdinfo --map --totals "$(uri B)"
ended_with 7 $second
kill $snapshot
ended_with 0 $snapshot
[ ! -e s.sock ] || fail "the socket is left"
nothing_in_qemu
checkpoints_are 2

# Nothing is lost by it, nor by one that is killed.
track 0 -o 1.vmab --parent 0.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
is_live 1.vmab
keep_truth
start_snapshot -d B --since mine --state state
write_B 9 0 20M
expect_code 0 nbdcopy "$(uri B)" B.now
same_file B.then B.now
kill -9 $snapshot
wait $snapshot 2>/dev/null || :
nothing_in_qemu
track 0 -o 2.vmab --parent 1.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
is_live 2.vmab
checkpoints_are 4

# One that another program ends: readers get errors, and no data of another instant, be they ever so quick.
keep_truth
start_snapshot
"$PYTHON" -c 'import json, nbd, socket, sys
monitor, reader, guest = socket.socket(socket.AF_UNIX), nbd.NBD(), nbd.NBD()
monitor.settimeout(100)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
reader.connect_uri(sys.argv[2])
guest.connect_uri(sys.argv[3])
def ask(command, **arguments):
    print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
    while True:
        answer = json.loads(lines.readline())
        if "event" not in answer:
            return answer.get("return")
then = open("A.then", "rb").read()
lines.readline()
ask("qmp_capabilities")
jobs = [job["id"] for job in ask("query-jobs")]
wrong = failed = 0
def read(at):
    global wrong, failed
    try:
        wrong += reader.pread(1 << 16, at) != then[at:at + (1 << 16)]
    except nbd.Error:
        failed += 1
read(1 << 20)
assert not failed
for job in jobs:
    ask("job-cancel", id=job)
for at in range(1 << 20, 3 << 20, 1 << 16):
    guest.pwrite(b"later" * 1000, at)
    read(at)
print(wrong, failed)
sys.exit(wrong > 0 or failed == 0)' "$asking" "$(uri A)" "$uri_A" >said 2>&1 || fail "the reader: $(cat said)"
ended_with 1 $snapshot
expect_text snapshot.err 'Operation canceled'
nothing_in_qemu
