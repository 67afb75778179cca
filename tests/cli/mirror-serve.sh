# A mirror of drives of a serve: copied while it is written to, in sync, aborted, and started again with the changes alone, also
# after the server was stopped or killed; then the guest is led to the targets, and back. What is sparse stays so.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 20000001 1
truncate -s 40000001 a.raw
make_random b.raw 3000001 2
mirror() { "$VMABAK" mirror "$@"; }
in_sync()
{
	expect_code 0 mirror wait serve:c.sock
	# What was written before is there once nothing is left.
	wait_until nothing_left
}
nothing_left() { [ "$(mirror status serve:c.sock --json | grep -c '"left_bytes": 0,')" = 2 ]; }
serve_both() { start_serve --map a=a.map --map b=b.map a="${1:-a.raw}" b="${2:-b.raw}"; }

serve_both
expect_code 0 mirror status serve:c.sock
expect_text "$out" 'mirror: none'
expect_code 0 "$VMABAK" status c.sock
expect_no_text "$out" 'mirror: '
expect_error 2 'no mirror is running' mirror wait serve:c.sock
expect_error 2 'no mirror is running' mirror pivot serve:c.sock
expect_error 2 'not served here' mirror start serve:c.sock -d c=c.raw
expect_error 2 'must be NAME=TARGET' mirror start serve:c.sock -d c.raw
expect_error 7 'is in use' mirror start serve:c.sock -d a=b.raw --force
expect_error 2 'must be start, status' mirror begin serve:c.sock
expect_error 2 'export of this server itself' mirror start serve:c.sock -d 'a=nbd+unix:///a?socket=n.sock' --force
expect_error 2 'target of two drives' mirror start serve:c.sock -d a=ta.raw -d b=ta.raw
expect_error 2 'is the state, and no target' mirror start serve:c.sock -d a=ta.raw --state ta.raw --force
echo precious >old
expect_error 2 'exists already; --force' mirror start serve:c.sock -d a=old --state s.json
[ "$(cat old)" = precious ] || fail "it was overwritten"
expect_error 2 'looks like a map of vmabak serve' mirror start serve:c.sock -d a=b.map --force
ln -s nowhere dangling
expect_error 2 'dangling symbolic link' mirror start serve:c.sock -d a=dangling
expect_error 2 'neither a file nor a block device' mirror start serve:c.sock -d a=/dev/null --force
expect_error 2 '/dev/vmabak-none.raw: ' mirror start serve:c.sock -d a=/dev/vmabak-none.raw
! [ -e /dev/vmabak-none.raw ] || fail "a file was made among devices"
echo '{"a": 1}' >other.json
expect_error 2 'not the state of a mirror' mirror start serve:c.sock -d a=ta.raw --state other.json

expect_code 0 mirror start serve:c.sock -d a=ta.raw -d b=tb.raw --state s.json --json
expect_json "$out" "[x['known'] for x in d['drives']] == [False, False]"
expect_error 7 'is running; abort ends it' mirror start serve:c.sock -d a=other.raw
expect_code 0 "$VMABAK" status c.sock
expect_text "$out" 'mirror: running'
status "s['mirror'] == 'running'"
guest a 'h.pwrite(b"x" * 5000, 65536 * 300 + 7); h.zero(200000, 1000000); h.trim(100000, 5000000)'
in_sync
same_file a.raw ta.raw
same_file b.raw tb.raw
[ "$(allocated ta.raw)" -lt 21000 ] || fail "not sparse: $(allocated ta.raw) KiB"
guest a 'h.pwrite(b"y" * 5000, 39995000); h.pwrite(b"y", 40000000)'
guest b 'h.zero(3000001, 0)'
in_sync
same_file a.raw ta.raw
same_file b.raw tb.raw
expect_code 0 mirror set serve:c.sock --rate 100M --on-slow wait
expect_code 0 mirror status serve:c.sock --json
expect_json "$out" "d['mirror']['rate_bytes_per_s'] == 104857600" "d['mirror']['on_slow'] == 'wait'" "d['mirror']['phase'] == 'running'" \
	"[x['state'] for x in d['mirror']['drives']] == ['in sync'] * 2"
# A backup at the same time is one of the same instant.
expect_code 0 live x.vmab -q
restored_is x.vmab a a.raw
same_file a.raw ta.raw

# changed DRIVES...: what a start says is left to be copied.
left_is()
{
	expect_json "$out" "all(x['known'] for x in d['drives'])"
	expect_code 0 mirror status serve:c.sock --json
	expect_json "$out" "sum(x['copied_bytes'] for x in d['mirror']['drives']) == $1"
}
again() { expect_code 0 mirror start serve:c.sock -d a=ta.raw -d b=tb.raw --state s.json --json; }
expect_code 0 mirror abort serve:c.sock
expect_error 2 'no mirror is running' mirror abort serve:c.sock
cp ta.raw then.raw
guest a 'h.pwrite(b"z" * 4096, 65536 * 9)'
same_file ta.raw then.raw
# A target that is mistyped, and refused, does not cost what is known of the right one.
expect_error 2 'exists already; --force' mirror start serve:c.sock -d a=ta.raw -d b=old --state s.json
again
cp "$out" started
in_sync
cp started "$out"
left_is 65536
same_file a.raw ta.raw

# After a stop, which has it noted, and after a kill.
guest a 'h.pwrite(b"0" * 4096, 65536 * 10)'
stop_serve
same_file a.raw ta.raw
serve_both
guest b 'h.pwrite(b"1" * 4096, 65536 * 11)'
again
cp "$out" started
in_sync
cp started "$out"
left_is 65536
guest a 'h.pwrite(b"2" * 4096, 65536 * 12)'
kill_serve
serve_both
again
in_sync
same_file a.raw ta.raw
same_file b.raw tb.raw

# Other targets under the same names are not taken for those.
expect_code 0 mirror abort serve:c.sock
mv tb.raw away.raw
cp away.raw tb.raw
expect_error 2 'exists already; --force' mirror start serve:c.sock -d a=ta.raw -d b=tb.raw --state s.json
expect_error 2 'has drive b, too' mirror start serve:c.sock -d a=ta.raw --state s.json
mv away.raw tb.raw

# A first copy that was ended goes on where it was.
expect_code 0 mirror start serve:c.sock -d a=part.raw --state part.json --rate 10M
wait_until sh -c '"$VMABAK" mirror status serve:c.sock --json | grep -q "copied_bytes\": [5-9][0-9]\\{6\\}\|copied_bytes\": [0-9]\\{8\\}"'
expect_code 0 mirror abort serve:c.sock
expect_code 0 mirror start serve:c.sock -d a=part.raw --state part.json --json
expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] <= 40000001 - 1000000"
expect_code 0 mirror wait serve:c.sock
wait_until sh -c '"$VMABAK" mirror status serve:c.sock --json | grep -q "left_bytes\": 0,"'
same_file a.raw part.raw
expect_code 0 mirror abort serve:c.sock

# One that was killed before anything was noted begins anew on the file that it made, and not on one of others.
expect_code 0 mirror start serve:c.sock -d a=new.raw --state new.json --rate 1M
kill_serve
serve_both
expect_code 0 mirror start serve:c.sock -d a=new.raw --state new.json
wait_until sh -c '"$VMABAK" mirror status serve:c.sock --json | grep -q "left_bytes\": 0,"'
same_file a.raw new.raw
expect_code 0 mirror abort serve:c.sock
cp a.raw theirs.raw
for _ in 1 2; do
	expect_error 2 'exists already; --force' mirror start serve:c.sock -d a=theirs.raw --state theirs.json
done

# To the targets, and back; the map goes with them.
expect_code 0 mirror start serve:c.sock -d a=ta.raw -d b=tb.raw --state s.json --json --force
in_sync
expect_code 0 mirror pivot serve:c.sock --json
expect_json "$out" "0 < d['standstill_ns'] < 10**10" "d['attempts'] >= 1"
status "[x['path'][-7:] for x in s['drives']] == ['/ta.raw', '/tb.raw']"
cp a.raw then.raw
guest a 'h.pwrite(b"3" * 4096, 65536 * 13); h.flush(); assert h.pread(4096, 65536 * 13) == b"3" * 4096'
same_file a.raw then.raw
expect_code 0 live y.vmab -q --parent x.vmab
restored_is y.vmab a ta.raw
stop_serve
serve_both ta.raw tb.raw
expect_text serve.err 'a.map: clean' 'b.map: clean'
guest b 'h.pwrite(b"4" * 4096, 65536 * 14)'
expect_code 0 mirror start serve:c.sock -d a=a.raw -d b=b.raw --state s.json --json
expect_json "$out" "all(x['known'] for x in d['drives'])"
in_sync
same_file a.raw ta.raw
same_file b.raw tb.raw
expect_code 0 mirror pivot serve:c.sock -q
stop_serve
same_file a.raw ta.raw

# The drive that the guest had before a pivot can be served, too: the map is not its own and begins anew, which is said, and the next
# increment compares.
serve_both ta.raw tb.raw
expect_text serve.err 'a.map: other-drive, begun anew' 'b.map: other-drive, begun anew'
expect_code 3 live z.vmab -q --parent y.vmab
restored_is z.vmab a ta.raw
stop_serve
