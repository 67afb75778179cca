# A socket that is not what its word says is named with the word that it needs, and serve's socket may be given with
# its word everywhere.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_random drive.raw 1000000 1
"$VMABAK" serve --control serve:c.sock --nbd unix:n.sock root=drive.raw 2>serve.err &
serve=$!
on_exit "kill -9 $serve 2>/dev/null"
wait_until test -S c.sock
[ ! -e serve:c.sock ] || fail "a socket of that name"
for socket in c.sock serve:c.sock; do
	expect_code 0 "$VMABAK" status $socket
done
expect_code 0 "$VMABAK" backup -o a.vmab serve:c.sock
# The socket of NBD is a stream, as a monitor's is.
for command in 'status n.sock' 'stop n.sock' 'backup -o no.vmab serve:n.sock'; do
	# shellcheck disable=SC2086 # words
	expect_error 2 'is not the control socket of a vmabak serve; the monitor of a QEMU is qemu:SOCKET' \
		"$VMABAK" $command
done
for command in 'qemu-drives c.sock' 'backup -o no.vmab qemu:c.sock' 'backup -o no.vmab qemu:c.sock --pull'; do
	# shellcheck disable=SC2086 # words
	expect_error 2 'the control socket of a vmabak serve is serve:SOCKET' "$VMABAK" $command
done
expect_code 0 "$VMABAK" stop serve:c.sock
ended_with 0 $serve
