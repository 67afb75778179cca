# A map lasts from one serve to the next, tells by generations what changed, and does not claim what it cannot know.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh nbdinfo
truncate -s 10000000 a.raw

# dirty BITMAP: its clusters.
dirty()
{
	nbdinfo --json --map="qemu:dirty-bitmap:$1" 'nbd+unix:///a?socket=n.sock' | "$PYTHON" -c 'import json, sys
print(*[i for e in json.load(sys.stdin) if e["type"] for i in range(e["offset"] // 65536, (e["offset"] + e["length"] + 65535) // 65536)])'
}

expect_dirty()
{
	lib_found=$(dirty "$1")
	[ "$lib_found" = "$2" ] || fail "$1 has '$lib_found', not '$2'"
}

start_serve --map a=a.map a=a.raw
guest a 'h.pwrite(b"x" * 65537, 3 * 65536); h.zero(10, 65536 * 9 - 5); h.trim(65536, 65536 * 20)'
expect_dirty since-0 '3 4 8 9 20'
expect_code 0 live a.vmab -q
guest a 'h.pwrite(b"x", 3 * 65536 - 1); h.pwrite(b"x", 9999999)'
expect_dirty since-0 '2 3 4 8 9 20 152'
expect_dirty since-1 '2 152'
stop_serve
start_serve --map a.map a=a.raw
expect_text serve.err 'map a.map: clean'
expect_dirty since-1 '2 152'
expect_code 0 live b.vmab -q
expect_code 0 live c.vmab -q
guest a 'h.pwrite(b"x", 0)'
expect_dirty since-0 '0 2 3 4 8 9 20 152'
expect_dirty since-1 '0 2 152'
expect_dirty since-3 '0'
nbdinfo --json --list 'nbd+unix:///?socket=n.sock' >list.json
expect_json list.json "[c for c in d['exports'][0]['contexts'] if ':since-' in c] == ['qemu:dirty-bitmap:since-%d' % i for i in range(4)]"
# One that is not over yet, and what is no number.
for name in since-4 since-00 since-x since- other; do
	nbdinfo --map=qemu:dirty-bitmap:$name 'nbd+unix:///a?socket=n.sock' >said 2>&1 && fail "there is $name: $(cat said)"
done
status "s['drives'][0]['map'] == {'file': 'a.map', 'trust': 'clean', 'id': s['drives'][0]['map']['id'], 'generation': 4, 'changed_clusters': 1}"
stop_serve

put a.raw 100 changed
start_serve --map a.map a=a.raw
expect_text serve.err 'map a.map: drive-changed, begun anew'
status "s['drives'][0]['map']['generation'] == 1" "s['drives'][0]['map']['trust'] == 'drive-changed'"
expect_dirty since-0 ''
stop_serve
cp a.map other.map
echo 'precious data' >a.map
expect_error 2 'is not a map' "$VMABAK" serve --control c.sock --nbd unix:n.sock --map a.map a=a.raw
[ "$(cat a.map)" = 'precious data' ] || fail "it was overwritten"
cp a.raw b.raw
start_serve --map other.map a=b.raw
expect_text serve.err 'map other.map: other-drive, begun anew'
stop_serve

# A program that sets the time of what it has written back, as those that copy do, after a kill.
rm -f other.map
start_serve --map other.map a=b.raw
guest a 'h.pwrite(b"x" * 512, 0); h.flush()'
kill -9 $serve
wait $serve 2>/dev/null || :
touch -r b.raw then
sleep 0.7 # more than the half second that is not seen
put b.raw 70000 'another state'
touch -r then b.raw
start_serve --map other.map a=b.raw
expect_text serve.err 'map other.map: drive-changed, begun anew'
stop_serve
