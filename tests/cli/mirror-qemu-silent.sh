# A target on the network falls silent: QEMU would stand still for it, and with it the guest, when the job of a backup or of a snapshot of
# another drive begins. It is not begun, and the guest goes on; with a target that answers it is.
# long: waits until a target has been silent for long enough
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$CLI/iothread.sh"

need_images
start_writing_machine 8M
truncate -s 9M t.raw
# begun: the guest has written, and the job has begun to copy it.
begun()
{
	before=$(n_writes)
	wait_until eval '[ $(n_writes) -gt $((before + 20)) ]'
	sleep 0.5
}
for rate in '' '--rate 4M'; do
	start_far
	expect_code 0 mirror start -d "root=$(nbd_uri far.nbd t)" --force $rate
	expect_code 0 mirror wait
	expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -d data --force -o a.vmab
	kill -STOP $far
	begun
	expect_error 7 'gives no answer' "$VMABAK" backup -q "qemu:$qmp" -d data --force -o b.vmab
	expect_error 7 'gives no answer' "$VMABAK" backup -q "qemu:$qmp" --pull -d data --force -o b.vmab
	expect_error 7 'gives no answer' "$VMABAK" snapshot "qemu:$qmp" -d data --nbd "unix:$TMPDIR/s"
	writes_on
	kill -CONT $far
	expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -d data --force -o b.vmab
	expect_code 0 "$VMABAK" restore -q b.vmab --force -d data=data.now
	same_file data.raw data.now
	# A limit is still there.
	ask_qmp query-block-jobs >jobs
	expect_text jobs "\"speed\": ${rate:+4194304}"
	expect_code 0 mirror abort
	writes_on
	kill -9 $far
	wait $far || : # it has the target until then
done

# One that has failed holds up nothing.
start_far
expect_code 0 mirror start -d "root=$(nbd_uri far.nbd t)" --force
expect_code 0 mirror wait
kill -9 $far
begun
wait_until state_is '"state": "failed"'
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -d data -o c.vmab
