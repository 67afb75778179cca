# The target of a mirror is lost, or gives no answer: the guest does not notice, and a mirror that begins again copies what
# changed. An image of another format can be a target, too, and the guest is led to it.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_images
make_random a.raw 6000001 1
truncate -s 12000001 a.raw
truncate -s 12000128 t.raw
mirror() { "$VMABAK" mirror "$@"; }
start_far()
{
	"$VMABAK" serve -q --control far.sock --nbd unix:far.nbd t=t.raw 2>far.err &
	far=$!
	on_exit "kill -9 $far 2>/dev/null"
	wait_until "$VMABAK" status far.sock >/dev/null 2>&1
}
state_is() { mirror status serve:c.sock --json >"$out" && grep -q "$1" "$out"; }
uri='nbd+unix:///t?socket=far.nbd'
same_start() { cmp -n 12000001 a.raw t.raw || fail "they differ"; }

start_far
start_serve --map a.map a=a.raw
expect_error 2 'is an NBD export; --force' mirror start serve:c.sock -d "a=$uri" --state s.json
expect_code 0 mirror start serve:c.sock -d "a=$uri" --state s.json --force
expect_code 0 mirror wait serve:c.sock
wait_until state_is '"left_bytes": 0,'
same_start
expect_code 0 mirror abort serve:c.sock
# A name that is mistyped costs nothing of what is known.
cp s.json known.json
expect_error 1 "has no export named 'tt'" mirror start serve:c.sock -d "a=nbd+unix:///tt?socket=far.nbd" --state s.json --force
same_file known.json s.json
expect_code 0 mirror start serve:c.sock -d "a=$uri" --state s.json

# Gone.
kill -9 $far
wait $far 2>/dev/null || :
guest a 'h.pwrite(b"x" * 100000, 65536 * 20); h.flush(); h.zero(300000, 1000000)'
wait_until state_is '"state": "failed"'
expect_error 1 'drive a: ' mirror wait serve:c.sock
expect_error 1 'drive a: the target: ' mirror pivot serve:c.sock
expect_code 0 mirror status serve:c.sock
expect_text "$out" 'mirror: failed'
guest a 'h.pwrite(b"y" * 5, 11999999 - 5)'
start_far
expect_code 0 mirror start serve:c.sock -d "a=$uri" --state s.json --json
expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] < 20 * 65536"
expect_code 0 mirror wait serve:c.sock
wait_until state_is '"left_bytes": 0,'
same_start

# Silent: the guest goes on, an abort does, too, and a new mirror has to wait.
kill -STOP $far
guest a 'h.pwrite(b"z" * 100000, 65536 * 40); h.flush()'
wait_until state_is '"stalled": true'
expect_code 0 mirror abort serve:c.sock
expect_error 7 'has not answered' mirror start serve:c.sock -d a=u.raw
kill -CONT $far
wait_until mirror start serve:c.sock -d "a=$uri" --state s.json
expect_code 0 mirror wait serve:c.sock
wait_until state_is '"left_bytes": 0,'
same_start
expect_code 0 mirror abort serve:c.sock

# Into an image, and the guest goes there.
expect_code 0 mirror start serve:c.sock -d a=new.qcow2
expect_code 0 mirror wait serve:c.sock
guest a 'h.pwrite(b"q" * 70000, 65536 * 3)'
expect_code 0 mirror pivot serve:c.sock -q
cp a.raw then.raw
guest a 'assert h.pread(70000, 65536 * 3) == b"q" * 70000; h.pwrite(b"r" * 70000, 65536 * 5); h.flush(); h.zero(65536, 0)'
same_file a.raw then.raw
expect_code 0 live x.vmab -q
stop_serve
qemu-img convert -f qcow2 -O raw new.qcow2 new.raw
truncate -s 12000001 new.raw
expect_code 0 "$VMABAK" restore -q x.vmab -d a=x.raw
same_file x.raw new.raw
