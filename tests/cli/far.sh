# Another host, a serve with the drive t.raw. For tests that have lib.sh already.
far_uri="nbd+unix:///t?socket=$(echo "$TMPDIR/far.nbd" | sed 's/ /%20/g')"

start_far()
{
	rm -f "$TMPDIR/far.sock" "$TMPDIR/far.nbd"
	"$VMABAK" serve -q --control "$TMPDIR/far.sock" --nbd "unix:$TMPDIR/far.nbd" t=t.raw 2>far.err &
	far=$!
	on_exit "kill -9 $far 2>/dev/null"
	wait_until "$VMABAK" status "$TMPDIR/far.sock" >/dev/null 2>&1
}

kill_far()
{
	kill -9 $far
	wait $far 2>/dev/null || :
}
