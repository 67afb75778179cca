# A server that says what the protocol does not have: the backup fails, says so, and leaves nothing.
. "$(dirname "$0")/lib.sh"

# refused MESSAGE...: a backup of what a server says in these messages.
refused()
{
	"$PYTHON" "$CLI/fake_serve.py" s.sock 1048576 "$@" &
	server=$!
	wait_until test -S s.sock
	expect_error 1 'unexpected reply from vmabak serve' timeout 200 "$VMABAK" backup serve:s.sock --threads 1 -o a.vmab
	kill $server 2>/dev/null || true
	wait $server || true
	rm s.sock
	nothing_but
}

all='{"chunk": 0, "data": [[0, 0, 16]], "zeros": []}'
refused '{"chunk": 16, "data": [[0, 0, 16]], "zeros": []}'
refused '{"data": [[0, 0, 16]], "zeros": []}'
refused '{"chunk": 0, "zeros": []}'
refused '{"chunk": 0, "data": [[0, 0, 16]]}'
refused '{"chunk": 0, "data": [[1, 0, 16]], "zeros": []}'
refused '{"chunk": 0, "data": [[0, 1, 16]], "zeros": []}'
refused '{"chunk": 0, "data": [[0, 0, 0]], "zeros": [[0, 0, 16]]}'
refused '{"chunk": 0, "data": [[0, 0, 16], [0, 0, 16], [0, 0, 16], [0, 0, 16], [0, 0, 1]], "zeros": []}'
# All came, but what was counted is no object.
refused "$all" '{"done": 5}'
refused "$all" '{"done": null}'
