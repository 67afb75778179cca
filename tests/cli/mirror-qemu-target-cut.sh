# The host of a QEMU's target loses power: what it had not flushed is lost, though it was answered. A mirror that begins again
# copies that, too. And the process that copies is killed while the target flushes: what the state says is there.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need pgrep
make_random a.raw 1000000 1
truncate -s 2M a.raw
qemu-img create -q -f qcow2 b.qcow2 1M
start_drives_at "$PWD"
far_disk 2097152
generation() { grep -o '"generation":[0-9]*' s.json; }
# The state says that all is there, and of what is recorded something was dropped.
cut() { ! grep -q '"n_clusters":0' s.json && [ "$(generation)" != "$1" ]; }
keeper() { pgrep -f "^vmabak mirror keep qemu:$qmp"; }
again()
{
	expect_code 0 mirror_start -d "A=$far" --state s.json --json
	expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] <= $1 * 65536"
}
same_far()
{
	in_sync
	same_drives cache.raw
}

expect_code 0 mirror_start -d "A=$far" --state s.json --force
write_A 5 1M 100K
wait_until cut '"generation":1'
write_A 6 1500K 4K
same_far
# Lost with what it held, and what the guest writes meanwhile.
far_disk_loses_power write_A 7 400K 4K
start_far_disk
again 5
same_far
expect_code 0 mirror abort

# Killed while the target flushes for the first time, and then once more.
before=$(generation)
echo 1 >hold-flush # the one with which QEMU's job begins
again 1
write_A 8 800K 4K
wait_until [ -e held ]
pid=$(keeper)
kill -9 $pid
wait_until gone $pid
[ "$(generation)" = "$before" ] || fail "the state says what is not flushed"
rm hold-flush
again 2
same_far
expect_code 0 mirror abort
nothing_of_mirrors
