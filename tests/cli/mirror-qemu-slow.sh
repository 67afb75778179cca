# A guest of a QEMU writes faster than the target takes it: status and wait say so, and how it can be slowed down there; they do not
# say so of a target that is slow and gets there.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need nbdkit
truncate -s 16M a.raw
qemu-img create -q -f qcow2 b.qcow2 2M
start_drives_at "$PWD"
echo 0 >rate
serve_nbdkit far.nbd --filter=rate memory 16M rate=1G rate-file="$PWD/rate"
diverges() { state_is '"diverging": true'; }

expect_code 0 mirror_start -d "A=$(nbd_uri far.nbd)" --force
in_sync
expect_code 0 state_is '"diverging": false'
# About 4 MB a second.
echo 32M >rate
write_A 1 0 12M
while ! state_is '"state": "in sync"'; do
	! diverges || fail "it says so though the guest does not write"
	sleep 0.5
done

: >writing
while [ -e writing ]; do
	qemu-io -f raw -c 'write -q -P 2 0 12M' "$uri_A"
	sleep 0.5
done &
wait_until diverges
expect_code 0 mirror status
expect_text "$out" 'so it does not get there: QEMU'"'"'s block_set_io_throttle slows them down'
mirror wait 2>wait.err &
waits=$!
wait_until grep -q 'faster than the target takes it; .*block_set_io_throttle' wait.err
rm writing
echo 0 >rate
code=0
wait $waits || code=$?
[ $code = 3 ] || fail "wait: $code"
expect_code 0 state_is '"diverging": false'
expect_code 0 mirror abort
nothing_of_mirrors
