# Sockets are 0600 from the beginning, whatever the umask, and no mode is set by a name that somebody
# else could have put something under.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_strace
make_random a.raw 1000000 1
modes='trace=chmod,fchmodat,chown,lchown,fchownat'
for mask in 000 022 077; do
	(
		umask $mask
		exec strace -D -f -qq -o "$TMPDIR/trace" -e "$modes" \
			"$VMABAK" serve --control c.sock --nbd unix:n.sock a=a.raw
	) 2>"$err" &
	serve=$!
	on_exit "kill -9 $serve 2>/dev/null"
	wait_until "$VMABAK" status c.sock >/dev/null 2>&1
	[ "$(stat -c %a c.sock n.sock | tr '\n' ' ')" = '600 600 ' ] || fail "umask $mask: $(ls -l)"
	expect_code 0 "$VMABAK" stop c.sock
	wait $serve || fail "serve: $(cat "$err")"
	! grep -E 'sock' "$TMPDIR/trace" || fail 'a mode by name'
done
nothing_but a.raw
