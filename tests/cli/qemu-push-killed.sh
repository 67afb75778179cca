# SIGKILL at VMABAK_KILLS moments (5): the guest's writes go on without an error, and nothing is left.
# long: many runs are killed
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

written_drives 100
i=0 n_killed=0
while [ $i -lt "${VMABAK_KILLS:-5}" ]; do
	i=$((i + 1))
	moment=$("$PYTHON" -c 'import random; print(random.uniform(0, 0.6))')
	"$VMABAK" backup -q "qemu:$qmp" --rate 5M --buffer 16M -o a.vmab 2>"$err" &
	pid=$!
	sleep "$moment"
	kill -9 $pid 2>/dev/null || true
	code=0
	wait $pid || code=$?
	[ $code != 0 ] || {
		rm a.vmab # this one had ended
		continue
	}
	n_killed=$((n_killed + 1))
	[ ! -e a.vmab ] || fail "an archive is there: $(ls -A)"
	# At once, while the dead one is being cleaned up after; or when that is done.
	[ $((i % 2)) = 0 ] || nothing_in_qemu
	expect_code 0 "$VMABAK" backup "qemu:$qmp" -o next.vmab
	rm -f next.vmab .*.part
done
[ $n_killed -gt 0 ] || fail 'none was killed'
nothing_in_qemu
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
