# Freeze comes before the instant and thaw after it, whatever happens in between.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 10000000 1
start_serve a=a.raw

# The guest writes between freeze and instant: that is in the archive.
cat >freeze.sh <<'END'
echo freeze >>log
"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=n.sock")
h.pwrite(b"frozen", 1000)'
END
cat >thaw.sh <<'END'
echo thaw >>log
"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=n.sock")
h.pwrite(b"thawed", 1000)'
END
expect_code 0 live a.vmab --freeze-command 'sh freeze.sh' --thaw-command 'sh thaw.sh; echo text'
[ "$(tr '\n' ' ' <log)" = 'freeze thaw ' ] || fail "log: $(cat log)"
expect_text "$err" text
"$VMABAK" restore -q a.vmab -d a=back.raw
[ "$(head -c 1006 back.raw | tail -c 6)" = frozen ] || fail "the instant was not between the two"
[ "$(head -c 1006 a.raw | tail -c 6)" = thawed ] || fail "thaw did not run"
rm a.vmab log back.raw

# logged WORD...: the log, when it has as many lines.
logged()
{
	wait_until sh -c "[ \"\$(wc -l <log)\" -ge $# ]"
	sleep 0.1
	[ "$(tr '\n' ' ' <log)" = "$* " ] || fail "log: $(cat log)"
	rm log
	wait_until no_backup
	[ ! -e a.vmab ] || fail "there is an archive"
}

thaw='echo thaw >>log'
expect_error 1 '--freeze-command: ended with code 3' live a.vmab --freeze-command 'echo freeze >>log; exit 3' --thaw-command "$thaw"
logged freeze thaw
expect_error 1 '--freeze-command: did not finish within 4 s' live a.vmab --freeze-timeout 4 \
	--freeze-command 'echo freeze >>log; sleep 60; echo late >>log' --thaw-command "$thaw"
logged freeze thaw

# Killed while it freezes: what freezes is ended first.
in_background "$VMABAK" backup serve:c.sock -o a.vmab --freeze-command 'echo freeze >>log; sleep 60; echo late >>log' --thaw-command "$thaw"
wait_until test -s log
kill -9 $pid
logged freeze thaw
rm -f .*.part
# Ended by ^C; the group of processes gets it.
in_background "$VMABAK" backup serve:c.sock -o a.vmab --freeze-command 'echo freeze >>log; sleep 60; echo late >>log' --thaw-command "$thaw"
wait_until test -s log
kill -INT $pid
logged freeze thaw

# Killed between the two: the server stands still, so that the instant does not come.
stand="kill -STOP $serve; until grep -q 'T (stopped)' /proc/$serve/status; do sleep 0.05; done"
in_background "$VMABAK" backup serve:c.sock -o a.vmab --freeze-command "$stand; echo freeze >>log" --thaw-command "$thaw"
wait_until test -s log
sleep 0.2
kill -9 $pid
wait_until grep -q thaw log
kill -CONT $serve
logged freeze thaw
rm -f .*.part
# And when it does not come in time, thaw does not wait for it; the backup is none.
in_background "$VMABAK" backup serve:c.sock -o a.vmab --freeze-timeout 4 --freeze-command "$stand; echo freeze >>log" \
	--thaw-command "kill -CONT $serve; $thaw"
ended_with 1 $pid
expect_text "$err" 'the snapshot was not taken within --freeze-timeout'
logged freeze thaw

# Without a guard nobody thaws: that is told, and there is no backup.
expect_code 1 live a.vmab --freeze-command 'kill -9 $PPID' --thaw-command "$thaw"
expect_text "$err" 'vmabak: the guard process has died' 'warning: the guard process has died; the machine may be frozen'
[ ! -e a.vmab ] || fail "there is an archive"
wait_until no_backup

# A thaw that fails is told, but the archive is good.
expect_code 3 live a.vmab --freeze-command true --thaw-command 'exit 4'
expect_text "$err" 'warning: --thaw-command: ended with code 4; the machine may be frozen'
expect_code 0 "$VMABAK" verify a.vmab
stop_serve
