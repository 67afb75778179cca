# With --read-only nothing can be written, images of other formats can be served, and backups are as of others.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh nbdinfo
need_images
make_random a.raw 3000000 1
qemu-img convert -O qcow2 a.raw b.qcow2
expect_error 1 'not to an NBD export' "$VMABAK" serve --control c.sock --nbd unix:n.sock root='nbd+unix:///?socket=none'
sha256sum a.raw b.qcow2 >sums
expect_error 1 'not to qcow2' "$VMABAK" serve --control c.sock --nbd unix:n.sock b.qcow2
start_serve --read-only a=a.raw b=b.qcow2
nbdinfo --json --list 'nbd+unix:///?socket=n.sock' >list.json
expect_json list.json "all(e['is_read_only'] for e in d['exports'])" \
	"all(e['contexts'] == ['base:allocation'] for e in d['exports'])"
for drive in a b; do
	guest $drive '
h.set_strict_mode(0)
for request in (lambda: h.pwrite(b"x", 0), lambda: h.zero(512, 0), lambda: h.trim(512, 0)):
    try:
        request()
        raise SystemExit("it was done")
    except nbd.Error as error:
        assert error.errno == "EPERM", error.errno
assert h.pread(1000000, 1234567) == open("a.raw", "rb").read()[1234567:2234567]'
done
expect_code 0 live a.vmab
restored_is a.vmab a a.raw
status "s['read_only'] is True" "all(d['map'] is None for d in s['drives'])"
stop_serve
sha256sum -c --quiet sums
