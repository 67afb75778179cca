# Increments of a serve read and send only what its map says has changed, also after failures, a kill of either side, and a
# stop; a token that is no longer known means a comparison with all of the parent, and a warning.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 20000000 1
make_random b.raw 3000001 2
start_serve --map a=a.map a=a.raw b=b.raw
expect_code 0 live 0.vmab --json
expect_json "$out" "all(x['token'].startswith('map:') and x['token'].endswith(':1') for x in d['drives'])"
# What the parent holds is known by the sums beside it; it is not read.
flip 0.vmab 9000000
expect_code 0 live unread.vmab --parent 0.vmab
flip 0.vmab 9000000
rm unread.vmab*

# Only what changed is read, but for the proof (serve-proof.sh).
guest a 'h.pwrite(b"guest" * 1000, 1000001); h.zero(131072, 655360)'
guest b 'h.pwrite(b"end", 2999998)'
cp a.raw a.then
expect_code 0 live 1.vmab --parent 0.vmab --json
expect_json "$out" "d['data_clusters'] == 2" "d['zero_clusters'] == 2" "d['capture']['read_bytes'] == 2 * 65536" \
	"[x['proof']['list'] for x in d['drives']] == ['right', 'right']" \
	"[x['proof']['listed_clusters'] for x in d['drives']] == [3, 1]"
restored_is 1.vmab a a.then
restored_is 1.vmab b b.raw
# Nothing.
expect_code 0 live 2.vmab --parent 1.vmab --json
expect_json "$out" "d['data_clusters'] == d['zero_clusters'] == d['capture']['read_bytes'] == 0"
# From any instant.
guest a 'h.pwrite(b"again", 2000000)'
expect_code 0 live 3.vmab --parent 0.vmab
expect_text "$err" 'clusters: ' ' taken as unchanged' 'read and right'
restored_is 3.vmab a a.raw
expect_code 0 live 4.vmab --parent 2.vmab --json
expect_json "$out" "d['data_clusters'] == 1"
restored_is 4.vmab a a.raw

# A backup that failed changes nothing.
guest a 'h.pwrite(b"before a failure", 3000000)'
stalled_backup --parent 4.vmab
kill -9 $backup
wait $backup 2>/dev/null || :
exec 5<&-
guest a 'h.pwrite(b"after it", 4000000)'
expect_code 0 live 5.vmab --parent 4.vmab --json
expect_json "$out" "d['data_clusters'] == 2"
restored_is 5.vmab a a.raw

# Killed, the server forgets what was in memory only.
guest a 'h.pwrite(b"killed", 5000000)'
guest b 'h.pwrite(b"killed", 5000)'
kill_serve
start_serve --map a=a.map a=a.raw b=b.raw
guest a 'h.pwrite(b"later", 6000000)'
expect_code 3 live 6.vmab --parent 5.vmab --json
expect_text "$err" 'drive b: all of it is compared with the parent' 'in memory only'
expect_json "$out" "d['data_clusters'] == 3" "d['drives'][1]['proof'] is None" "d['drives'][0]['proof']['listed_clusters'] == 2"
restored_is 6.vmab a a.raw
restored_is 6.vmab b b.raw
stop_serve
start_serve --map a=a.map a=a.raw b=b.raw
expect_code 3 live 7.vmab --parent 6.vmab -q
stop_serve
put a.raw 100 changed
start_serve --map a=a.map --map b=b.map a=a.raw b=b.raw
expect_code 3 live 8.vmab --parent 7.vmab --json
expect_text "$err" 'drive a: all of it is compared' 'another program wrote to the drive'
expect_json "$out" "d['data_clusters'] == 1"
restored_is 8.vmab a a.raw
stop_serve
