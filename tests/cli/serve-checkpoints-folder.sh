# checkpoint of a state folder: the checkpoints in all maps that are in it, while nobody uses them.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
mkdir state empty
make_random a.raw 2000000 1
make_random b.raw 1000000 2
start_serve --map a=state/a.map --map b=state/b.map a=a.raw b=b.raw
expect_code 0 live 0.vmab -q
expect_code 0 "$VMABAK" checkpoint create mine serve:c.sock
guest a 'h.pwrite(b"x" * 512, 5 * 65536); h.flush()'
expect_code 7 "$VMABAK" checkpoint list state
stop_serve

expect_code 0 "$VMABAK" checkpoint list --json state
expect_json "$out" "[c['state'] for c in d['checkpoints']] == ['good', 'good']" \
	"[(x['name'], x['changed_bytes']) for x in d['checkpoints'][1]['drives']] == [('a', 65536), ('b', 0)]"
expect_code 0 "$VMABAK" checkpoint size mine state
expect_text "$out" 'drive a: 64.0 KiB (65536 bytes) changed' 'drive b: 0 B'
expect_code 0 "$VMABAK" checkpoint export mine -o mine.ckpt state --json
expect_json "$out" "d['n_parts'] == 2" "d['changed_clusters'] == 1"
expect_code 0 "$VMABAK" checkpoint delete mine state
expect_error 2 'none of that name' "$VMABAK" checkpoint delete mine state
expect_code 0 "$VMABAK" checkpoint list --json state
expect_json "$out" "len(d['checkpoints']) == 1" "len(d['checkpoints'][0]['drives']) == 2"
expect_error 2 'has no map' "$VMABAK" checkpoint list empty
[ -z "$(ls empty)" ] || fail "a list has made $(ls empty)"
flock -n state/lock "$VMABAK" checkpoint list state 2>"$err" && fail 'a folder that is in use'
expect_text "$err" 'is in use by another run'

# The chain goes on, and what was exported is taken elsewhere.
start_serve --map a=state/a.map --map b=state/b.map a=a.raw b=b.raw
expect_code 0 live 1.vmab -q --parent 0.vmab --json
expect_json "$out" "[x['proof']['listed_clusters'] for x in d['drives']] == [1, 0]"
stop_serve
start_serve a=a.raw b=b.raw
expect_code 0 "$VMABAK" checkpoint import mine.ckpt serve:c.sock --unwritten
stop_serve
