# SIGKILL at VMABAK_KILLS moments (5): the guest's writes go on without an error, and nothing is left.
# long: many runs are killed
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

written_drives 100
kill_some "${VMABAK_KILLS:-5}" 0.6 "--rate 5M --buffer 16M"
# Without the process that cleans up the next run does so.
in_background "$VMABAK" backup -q "qemu:$qmp" --rate 1M --buffer 16M -o a.vmab
wait_until jobs_run
kill_with_guard
expect_code 0 "$VMABAK" backup "qemu:$qmp" -o next.vmab
expect_text "$err" 'cleaned up in QEMU after 1 killed run'
rm -f .*.part
nothing_in_qemu
stop_writers
expect_code 0 "$VMABAK" verify next.vmab
