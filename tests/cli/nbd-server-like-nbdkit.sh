# The same requests, bad ones among them, to our NBD server and to nbdkit: the same bytes and errors.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need nbdkit
need_python nbd

# At once, and as if the disk made every request wait.
for delay in 0 300; do
	rm -f ours.raw theirs.raw
	truncate -s 5000001 ours.raw theirs.raw
	serve_ours "s$delay" -d $delay ours.raw
	serve_nbdkit "k$delay" file theirs.raw
	"$PYTHON" "$SRC/tests/nbd/compare.py" "$(nbd_uri s$delay)" "$(nbd_uri k$delay)" 5000001 $delay 400
	cmp ours.raw theirs.raw
done
