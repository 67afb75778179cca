# As mirror-qemu-killed, with drives and targets that are qcow2 images: their qemu-nbd ends with the process that mirrors, and is
# killed itself, too, in which the mirror fails and begins again with what changed.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror_kills.sh"

start_killing qcow2
kill_rounds "${VMABAK_ROUNDS:-4}"

expect_code 0 begin
expect_code 0 mirror wait
wait_until grep -q '"n_clusters":128.*"n_clusters":64' s.json
servers=$(pgrep -f "^qemu-nbd .*$PWD/$there/a.qcow2") || fail "no qemu-nbd"
kill -9 $servers
wait_until state_is '"state": "failed"'
expect_error 1 'drive ' mirror pivot
expect_code 0 begin --json
expect_json "$out" "all(x['known'] for x in d['drives'])"
expect_code 0 mirror wait
expect_code 0 mirror pivot -q
find_guest
end_killing
