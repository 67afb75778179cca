# A block device that cannot be written is refused before a guest uses it, and served with --read-only.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
truncate -s 1M fixed.raw
loop_device fixed.raw -r
expect_error 2 "$loop: is read-only" timeout 200 "$VMABAK" serve --control c.sock --nbd unix:n.sock a="$loop"
start_serve --read-only a="$loop"
guest a 'assert h.pread(512, 0) == bytes(512)'
stop_serve
