# A target on the network falls silent: QEMU would stand still for it, and with it the guest, when the job of a backup or of a snapshot of
# another drive begins. It is not begun, and the guest goes on; with a target that answers it is.
# long: waits until a target has been silent for long enough
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$CLI/iothread.sh"

need_images
start_writing_machine 8M
truncate -s 9M t.raw
start_far
expect_code 0 mirror start -d "root=$(nbd_uri far.nbd t)" --force
expect_code 0 mirror wait
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -d data -o a.vmab
kill -STOP $far
before=$(n_writes)
wait_until eval '[ $(n_writes) -gt $((before + 20)) ]' # the job copies them
expect_error 7 'gives no answer' "$VMABAK" backup -q "qemu:$qmp" -d data -o b.vmab
expect_error 7 'gives no answer' "$VMABAK" backup -q "qemu:$qmp" --pull -d data -o b.vmab
expect_error 7 'gives no answer' "$VMABAK" snapshot "qemu:$qmp" -d data --nbd "unix:$TMPDIR/s"
writes_on
kill -CONT $far
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -d data -o b.vmab
expect_code 0 "$VMABAK" restore -q b.vmab -d data=data.now
same_file data.raw data.now
expect_code 0 mirror abort
writes_on
