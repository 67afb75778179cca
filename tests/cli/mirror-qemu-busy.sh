# A QEMU in which something is always on its way, here another program's mirror: the state knows nevertheless what a target has once
# it was copied, after an abort and after a kill, and nobody waits long.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need pgrep
make_random a.raw 16777216 1
qemu-img create -q -f qcow2 b.qcow2 1M
make_random c.raw 8388608 2
start_drives_at "$PWD"
ask_qmp blockdev-add "{\"driver\": \"file\", \"filename\": \"$PWD/c.raw\", \"node-name\": \"C\"}" >said
ask_qmp blockdev-add '{"driver": "null-co", "node-name": "nowhere", "size": 8388608}' >said
ask_qmp blockdev-mirror '{"job-id": "other", "device": "C", "target": "nowhere", "sync": "full", "speed": 1, "granularity": 65536, "buf-size": 65536}' >said

# again LEFT: it begins anew with so many bytes, of which the last cluster is known by which a bitmap is.
again()
{
	expect_code 0 mirror_start -d A=t.raw --state s.json --json
	expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] == $1"
}
expect_code 0 mirror_start -d A=t.raw --state s.json
expect_code 0 mirror wait
for how in "" "--pull --nbd-server"; do
	expect_code 7 "$VMABAK" backup "qemu:$qmp" -q -d A -o bk.vmab $how ${how:+"$exports"}
	expect_text "$err" 'in use by block job: mirror; a drive that is mirrored has no backup before' 'vmabak mirror abort'
done
expect_code 0 mirror abort --json
expect_json "$out" "not d['one_instant']"
write_A 5 3M 4K
again 131072
expect_code 0 mirror wait
wait_until nothing_left
same_drives t.raw
write_A 6 6M 4K
wait_until nothing_left
keeper=$(pgrep -f "^vmabak mirror keep qemu:$qmp")
kill -9 $keeper
wait_until gone $keeper
again 196608
expect_code 0 mirror wait
expect_code 0 mirror pivot -q
write_A 7 9M 4K
same_drives t.raw
ask_qmp query-jobs | grep -q '"other"' || fail "another program's job is gone"
