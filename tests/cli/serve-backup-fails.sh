# A backup that is killed, or whose output fails, leaves the server, the guest and the folder as they were; and one
# whose server is killed ends soon, unless it has all.
# long: waits for what a killed server leaves
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 30000000 1
start_serve a=a.raw
mkdir to

# next_works: the guest writes, and a backup holds what it wrote.
next_works()
{
	wait_until no_backup
	guest a 'h.pwrite(b"x" * 100000, 12345678); h.flush(); assert h.pread(3, 12345680) == b"xxx"'
	expect_code 0 live to/next.vmab
	restored_is to/next.vmab a a.raw
	rm to/next.vmab to/next.vmab.sums
	[ -z "$(ls -A to)" ] || fail "left: $(ls -A to)"
}

for signal in KILL INT TERM; do
	in_background "$VMABAK" backup serve:c.sock --rate 5M -o to/a.vmab
	wait_until backup_runs
	wait_until has_part to 1000000
	kill -$signal $pid
	wait $pid && fail "it ended well"
	# A process that is killed cannot remove what it has begun.
	[ $signal != KILL ] || rm to/.*.part
	next_works
done

# Its reader goes away.
expect_code 0 sh -c '{ "$VMABAK" backup serve:c.sock -o - 2>said; echo $? >code; } | head -c 100000 >/dev/null'
[ "$(cat code)" = 1 ] || fail "code $(cat code)"
expect_text said 'Broken pipe'
next_works

# No room. One line tells.
expect_error 6 'No space left' "$VMABAK" backup serve:c.sock -o /dev/full
next_works
expect_error 6 'File too large' sh -c 'ulimit -f 1000; exec "$VMABAK" backup serve:c.sock -o to/a.vmab'
next_works

# It never gets to its instant.
"$VMABAK" backup serve:c.sock -o to/a.vmab --freeze-command 'sleep 100' --thaw-command true &
kill -9 $!
next_works
wait_until status 's["n_backups_failed"] >= 5' 's["n_connections"] == 0' >/dev/null
stop_serve

# The server is killed while nobody reads what is written. A drive of one chunk: while one thread writes it, the
# other one hears that there is no more. One of several: some are still to come.
pipe_has_some()
{
	"$PYTHON" -S -c 'import fcntl, struct, sys, termios
sys.exit(struct.unpack("i", fcntl.ioctl(0, termios.FIONREAD, bytes(4)))[0] == 0)' <&5
}
for n in 2000000 30000000; do
	make_random b.raw $n 3
	start_serve b=b.raw
	stalled_backup --threads 2
	wait_until status "s['backup']['todo_clusters'] == 0 or $n > 2000000" >/dev/null
	wait_until pipe_has_some
	sleep 2
	kill_serve
	sleep 4
	if [ $n = 2000000 ]; then
		cat <&5 >b.vmab
		wait $backup || fail "it had all: code $?, $(cat said)"
		restored_is b.vmab b b.raw
	else
		wait $backup && fail "it ended well without all"
		expect_text said 'the server ended before the backup was complete'
	fi
	exec 5<&-
done
