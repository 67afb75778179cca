# The target of a mirror of a QEMU's drives is lost, gives no answer, or is full: the guest does not notice, and a mirror that
# begins again copies what changed. A target may be an NBD export, and the guest is led to it.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

mirrored_drives
truncate -s 17M t.raw
uri=$(nbd_uri far.nbd t)
same_start()
{
	qemu-img convert -f raw -O raw "$uri_A" now.A
	cmp -n 16777216 now.A t.raw || fail "they differ"
}

start_far
expect_error 2 'is an NBD export; --force' mirror_start -d "A=$uri" --state s.json
expect_code 0 mirror_start -d "A=$uri" --state s.json --force
in_sync
same_start
expect_code 0 mirror abort
nothing_of_mirrors
expect_code 0 mirror_start -d "A=$uri" --state s.json

# Gone.
kill -9 $far
wait $far 2>/dev/null || :
write_A 5 2M 100K
wait_until state_is '"state": "failed"'
expect_error 1 'drive A: ' mirror wait
expect_error 1 'drive A: ' mirror pivot
write_A 6 15M 4K
start_far
expect_code 0 mirror_start -d "A=$uri" --state s.json --json
expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] < 20 * 65536"
in_sync
same_start

# Silent: the guest goes on. This daemon cannot hang up on it (yank), so that the job ends once it answers.
kill -STOP $far
write_A 7 4M 1M
write_A 7 6M 1M
expect_error 1 'gives no answer' mirror abort
write_A 8 3M 4K
kill -CONT $far
wait_until state_is '"state": "failed"'
expect_code 0 mirror_start -d "A=$uri" --state s.json --json
expect_json "$out" "d['drives'][0]['known']"
in_sync
same_start

# The guest is led to it.
expect_code 0 mirror pivot -q
cp a.raw then.raw
write_A 9 7M 4K
same_file a.raw then.raw
same_start
qemu-io -f raw -r -U -c 'read -q -P 9 7M 4K' t.raw
