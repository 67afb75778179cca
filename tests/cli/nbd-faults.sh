# NBD servers that fail, hang up or die: an exit code that fits, the URI and the byte, no archive.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
make_random drive.raw 33554432 1
expect_code 0 "$VMABAK" backup -o good.vmab d=drive.raw

serve_nbdkit read --filter=error file drive.raw error-pread=EIO error-pread-rate=100%
expect_error 1 "$(nbd_uri read): reading at byte " "$VMABAK" backup -o a.vmab "$(nbd_uri read)"
expect_text "$err" 'Input/output error'
# Only now and then: whatever came before, it is an error.
serve_nbdkit seldom --filter=error file drive.raw error-pread=EIO error-pread-rate=10%
expect_error 1 "$(nbd_uri seldom): reading at byte " "$VMABAK" backup -o a.vmab "$(nbd_uri seldom)"
serve_nbdkit status --filter=error file drive.raw error-extents=EIO error-extents-rate=100%
expect_error 1 "$(nbd_uri status): asking for zeros at byte 0" \
	"$VMABAK" backup -o a.vmab "$(nbd_uri status)"

serve_nbdkit write --filter=error memory 32M error-pwrite=EIO error-pwrite-rate=20%
expect_error 1 "$(nbd_uri write): writing at byte " \
	"$VMABAK" restore --force good.vmab -d "d=$(nbd_uri write)"
serve_nbdkit full --filter=error memory 32M error-pwrite=ENOSPC error-pwrite-rate=20%
expect_error 6 "$(nbd_uri full): writing at byte " \
	"$VMABAK" restore --force good.vmab -d "d=$(nbd_uri full)"
serve_nbdkit flush --filter=error sh - <<'END'
case $1 in
get_size) echo 32M ;;
can_write|can_flush|can_zero) exit 0 ;;
pwrite) cat >/dev/null ;;
zero) ;;
flush) echo 'EIO no' >&2; exit 1 ;;
*) exit 2 ;;
esac
END
expect_error 1 "$(nbd_uri flush): flushing: " \
	"$VMABAK" restore --force good.vmab -d "d=$(nbd_uri flush)"

# Killed with requests in flight.
serve_nbdkit dies --filter=log --filter=delay file drive.raw rdelay=1 logfile="$TMPDIR/requests"
in_background "$VMABAK" backup -o a.vmab "$(nbd_uri dies)"
wait_until grep -q ' Read ' "$TMPDIR/requests"
kill -9 "$server"
ended_with 1 $pid
expect_text "$err" "$(nbd_uri dies): reading at byte "
serve_nbdkit gone --filter=log --filter=delay memory 32M wdelay=1 logfile="$TMPDIR/writes"
in_background "$VMABAK" restore --force good.vmab -d "d=$(nbd_uri gone)"
wait_until grep -q ' Write ' "$TMPDIR/writes"
kill -9 "$server"
ended_with 1 $pid
expect_text "$err" "$(nbd_uri gone): writing at byte "

# What is no NBD server.
"$PYTHON" -c 'import socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
while True:
    peer = listener.accept()[0]
    peer.sendall(b"220 not an NBD server\r\n" * 10)
    peer.close()' "$TMPDIR/other" &
on_exit "kill $! 2>/dev/null"
wait_until test -S "$TMPDIR/other"
expect_error 1 "$(nbd_uri other)" "$VMABAK" backup -o a.vmab "$(nbd_uri other)"
nothing_but drive.raw good.vmab
