# A file's time of change reaches the disk late, and a power cut takes it back. So a map that was closed in order in another
# boot, or before its drive's file system was mounted anew, does not count.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
truncate -s 8M a.raw
cut_power()
{
	touch -r a.raw then
	put a.raw 70000 'written, and the time of it lost'
	touch -r then a.raw
}
start_serve --map a.map a=a.raw
guest a 'h.pwrite(b"x" * 512, 0)'
stop_serve
start_serve --map a.map a=a.raw
expect_text serve.err 'map a.map: clean'
stop_serve
cut_power
echo 01234567-89ab-cdef-0123-456789abcdef >other-boot
lib_code=0
in_private_mounts sh -c '
	mount --bind other-boot /proc/sys/kernel/random/boot_id || exit 77
	"$VMABAK" serve --control c.sock --nbd unix:n.sock --map a.map a=a.raw 2>said &
	serve=$!
	until "$VMABAK" status c.sock >/dev/null 2>&1; do kill -0 $serve || exit 1; sleep 0.05; done
	"$VMABAK" stop c.sock
	wait $serve' 2>"$err" || lib_code=$?
[ $lib_code != 77 ] || skip "may not mount another boot id here"
[ $lib_code = 0 ] || fail "code $lib_code: $(cat "$err" said)"
expect_text said 'map a.map: unsure, begun anew'
