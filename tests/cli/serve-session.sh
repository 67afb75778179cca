# Between sessions, too, a backup stands back from guests, where the kernel shares processors by session: its own has a
# nice value of 10 as a whole, until it ends, however it does. One that others work in is left alone.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh setsid pkill
grep -q '^/autogroup-[0-9]* nice' /proc/self/autogroup 2>/dev/null || skip "sessions do not count for this kernel"
mkfifo pipe stay
leader=
on_exit '[ -z "$leader" ] || pkill -KILL -s $leader'
# The nice value of the session that $leader leads.
session()
{
	sed -n 's/.* nice //p' "/proc/$leader/autogroup"
}

session_is()
{
	[ "$(session)" = "$1" ]
}

# elsewhere COMMAND...: in a session of its own, $leader, with standard output in a pipe that nobody reads yet;
# its pid comes in the file pid, its exit code in ended. The session lasts until leave.
elsewhere()
{
	rm -f pid ended
	setsid sh -c '"$@" >pipe 2>said & echo $! >pid; wait $!; echo $? >ended; read -r _ <stay' sh "$@" &
	leader=$!
	exec 5<pipe
	wait_until [ -s pid ]
}

leave()
{
	exec 5<&-
	wait_until [ -s ended ]
	echo >stay
	wait $leader || true
	leader=
}

make_random a.raw 40000000 1
start_serve a=a.raw
live="$VMABAK backup -q serve:c.sock --compress none -o -"

elsewhere $live
wait_until session_is 10
cat <&5 >a.vmab
wait_until session_is 0
leave
[ "$(cat ended)" = 0 ] && [ ! -s said ] || fail "$(cat ended said)"
restored_is a.vmab a a.raw

for signal in TERM KILL; do
	elsewhere $live
	wait_until session_is 10
	kill -$signal "$(cat pid)"
	wait_until session_is 0
	leave
	wait_until no_backup
done

# What somebody else has set is his.
elsewhere $live
wait_until session_is 10
wait_until eval 'echo 3 2>/dev/null >/proc/$leader/autogroup' # too soon after another change it is refused
cat <&5 >a.vmab
wait_until [ -s ended ]
sleep 0.5
session_is 3 || fail "what somebody else had set is gone: $(session)"
leave

stop_serve

# The server's own.
elsewhere sh -c '"$VMABAK" serve -q --control d.sock --nbd unix:d.nbd a=a.raw & server=$!
	until "$VMABAK" status d.sock >/dev/null 2>&1; do sleep 0.05; done
	"$VMABAK" backup -q serve:d.sock --compress none -o -
	kill $server
	wait $server'
begun()
{
	"$VMABAK" status --json d.sock 2>/dev/null | grep -q '"backup": *{'
}
wait_until begun
sleep 0.5
session_is 0 || fail "the server's session: $(session)"
cat <&5 >a.vmab
leave

# One with a terminal.
need_terminal
start_serve a=a.raw
elsewhere script -qefc "echo \$\$ >leader; $live >pipe; true" /dev/null
wait_until backup_runs
guest a 'h.pwrite(b"a" * 5000, 2000000)'
sed -n 's/.* nice //p' "/proc/$(cat leader)/autogroup" | grep -qx 0 || fail "one with a terminal: $(cat "/proc/$(cat leader)/autogroup")"
cat <&5 >a.vmab
leave
wait_until no_backup
stop_serve
