# An output that stands still: the guest goes on all the same, and the backup fails; it spills to disk
# if it may, or has the guest wait if told so.
# alone: no write of the guest may take a second
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 40000000 1
cp a.raw before
mkdir spill

# guest_waits: $writer has filled the memory, and stands still for a second.
guest_waits()
{
	wait_until status 's["backup"]["buffer_fill"] >= 1000' >/dev/null
	sleep 1
	kill -0 $writer || fail "the guest did not wait"
}

start_serve a=a.raw

overwrite='
worst = 0
for at in range(0, 40000000, 65536):
    begin = time.monotonic()
    h.pwrite(b"n" * 4096, at)
    worst = max(worst, time.monotonic() - begin)
open("worst", "w").write(str(worst))'

stalled_backup --json --buffer 16M --spill 0
guest a "$overwrite"
ended_with 1 $backup
exec 5<&-
expect_json said "d['error']['code'] == 'system'" "'memory' in d['error']['message']" \
	"'--on-full' in d['error']['message']"
[ "$("$PYTHON" -c 'print(float(open("worst").read()) < 1)')" = True ] || fail "a write took $(cat worst) s"
wait_until no_backup
cp a.raw after
cmp -s before after && fail "nothing was written"

# All fits on disk.
stalled_backup --json --buffer 16M --spill 200M --spill-dir spill
guest a "$overwrite"
[ -z "$(ls -A spill)" ] || fail "the scratch file has a name"
cat <&5 >a.vmab
exec 5<&-
ended_with 0 $backup
restored_is a.vmab a after
expect_json said "d['capture']['spilled_clusters'] > 100" "d['capture']['guest_clusters'] > 300"

# Or the guest waits, and no longer than the output stands still.
cp a.raw after
stalled_backup --json --buffer 16M --spill 0 --on-full wait
guest a "$overwrite" &
writer=$!
guest_waits
cat <&5 >b.vmab
exec 5<&-
ended_with 0 $backup
ended_with 0 $writer
restored_is b.vmab a after
expect_json said "d['capture']['spilled_clusters'] == 0" "d['capture']['delay_max_ns'] > 3 * 10**8"

# Or until the backup is killed.
stalled_backup --json --buffer 16M --spill 0 --on-full wait
guest a "$overwrite" &
writer=$!
guest_waits
kill -9 $backup
ended_with 0 $writer
wait_until no_backup
stop_serve
