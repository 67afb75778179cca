# A server that hands out a cluster twice, or leaves one out, though the number of all of them is right: no archive
# comes of it, in any format, and the message names drive and cluster.
. "$(dirname "$0")/lib.sh"

# twice TEXT MESSAGE...: a backup of what a server says in these messages.
twice()
{
	words=$1
	shift
	for name in a.vmab a.vma a.vma.zst; do
		"$PYTHON" "$CLI/fake_serve.py" s.sock 1048576 "$@" &
		server=$!
		wait_until test -S s.sock
		expect_error 1 "$words" "$VMABAK" backup serve:s.sock --threads 1 -o $name
		kill $server 2>/dev/null || true
		wait $server || true
		rm s.sock
		nothing_but
	done
}

done='{"done": {}}'
one='{"chunk": 0, "data": [[0, 0, 16]], "zeros": []}'
twice 'drive root: cluster 5 was received twice' "$one" '{"chunk": 1, "data": [[0, 5, 1]], "zeros": []}' "$done"
twice 'drive root: cluster 0 was received twice' '{"chunk": 0, "data": [[0, 0, 1]], "zeros": [[0, 0, 15]]}' "$done"
# Sixteen, as there must be.
twice 'drive root: cluster 14 was received twice' '{"chunk": 0, "data": [[0, 0, 15], [0, 14, 1]], "zeros": []}' "$done"
twice 'drive root: 15 of 16 clusters were received, cluster 3 is missing' \
	'{"chunk": 0, "data": [[0, 0, 3], [0, 4, 12]], "zeros": []}' "$done"

# It is the messages that are wrong: another one gives an archive.
"$PYTHON" "$CLI/fake_serve.py" s.sock 1048576 "$one" "$done" &
on_exit "kill $! 2>/dev/null"
wait_until test -S s.sock
expect_code 0 "$VMABAK" backup serve:s.sock --threads 1 -o a.vmab
expect_code 0 "$VMABAK" verify a.vmab
