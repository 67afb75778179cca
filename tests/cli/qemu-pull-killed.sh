# SIGKILL of a pull at VMABAK_KILLS moments (4): the guest's writes go on without an error, and
# nothing is left in QEMU or on disk.
# long: many runs are killed
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

written_drives 100
kill_some "${VMABAK_KILLS:-4}" 0.4 "--rate 5M" --pull --nbd-server "$exports" --scratch "$TMPDIR"
# Without the process that cleans up the next run does so, also if it pushes.
for way in '--pull --nbd-server' ''; do
	in_background "$VMABAK" backup -q "qemu:$qmp" --pull --nbd-server "$exports" \
		--scratch "$TMPDIR" --rate 1M --compress none -o a.vmab
	wait_until exports_there
	kill_with_guard
	expect_code 0 "$VMABAK" backup "qemu:$qmp" $way ${way:+"$exports"} -o next.vmab
	expect_text "$err" 'cleaned up in QEMU after 1 killed run'
	rm -f .*.part
	nothing_in_qemu
	expect_code 0 "$VMABAK" verify next.vmab
	rm next.vmab
done
stop_writers
