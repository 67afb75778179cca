# What the map of a serve calls unchanged is proved before the instant: a change that it missed is found, that drive is
# compared and its map begins anew for all chains, and the other drives stay incremental. A guest at work is no lie.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 8000001 1
make_random b.raw 3000001 2
truncate -s 50M thin.raw
start_serve --map a=a.map --map thin=thin.map a=a.raw b=b.raw thin=thin.raw
expect_code 0 live 0.vmab -q

# Nothing is wrong: all of drives this small is read, and said.
guest a 'h.pwrite(b"guest" * 1000, 1000001)'
guest thin 'h.pwrite(b"data", 5000000)'
expect_code 0 live 1.vmab --parent 0.vmab --json
expect_text "$err" 'read and right'
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right'] * 3" \
	"[x['proof']['right_clusters'] for x in d['drives'][:2]] == [122, 46]" \
	"d['drives'][2]['proof']['right_clusters'] >= 257" \
	"[x['proof']['audit_slices'] for x in d['drives']] == [100] * 3" \
	"d['capture']['read_bytes'] == 2 * 65536"
expect_code 0 live 2.vmab --parent 1.vmab --json --audit 0
expect_json "$out" "[x['proof']['audit_slices'] for x in d['drives']] == [0] * 3"

# The map of a missed something: it is known at once what, also with the map in memory (b).
tokens()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -S -c 'import json, sys; print(*(d["token"] for d in json.load(sys.stdin)["drives"]))'
}
put a.raw 6000000 changed
guest b 'h.pwrite(b"in time", 5)'
expect_code 3 live 3.vmab --parent 2.vmab --json
expect_text "$err" 'drive a: the record of its changes is wrong and not used: byte 5963776' 'all of the drive is compared'
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['wrong', 'right', 'right']" \
	"d['drives'][0]['proof']['wrong_clusters'] == 1" "d['data_clusters'] == 2" "len(d['warnings']) == 1"
restored_is 3.vmab a a.raw
restored_is 3.vmab b b.raw
"$VMABAK" list --json 3.vmab >listed
expect_json listed "d['drives'][0]['proof']['list'] == 'wrong'"
expect_code 0 live 4.vmab --parent 3.vmab -q
# Another chain does not trust that map either.
guest a 'h.pwrite(b"later", 2000000)'
expect_code 3 live 5.vmab --parent 1.vmab -q
expect_text "$err" 'drive a: all of it is compared' 'began anew'
restored_is 5.vmab a a.raw
put b.raw 70000 changed
expect_code 3 live 6.vmab --parent 5.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'wrong', 'right']"
restored_is 6.vmab b b.raw
expect_code 3 live 7.vmab --parent 4.vmab -q
expect_text "$err" 'drive b: all of it is compared'
expect_code 0 live 8.vmab --parent 6.vmab -q

# Where there were zeros, too, and the audit looks there.
put thin.raw 45000000 changed
expect_code 3 live 9.vmab --parent 8.vmab --json --audit 1/1
expect_text "$err" 'drive thin: the record of its changes is wrong'
restored_is 9.vmab thin thin.raw
guest_writes()
{
	[ -s at-work ]
}
guest a 'import random
open("at-work", "w").write("yes")
while not __import__("os").path.exists("enough"):
    h.pwrite(random.randbytes(4096), random.randrange(8000001 - 4096)); time.sleep(0.0005)' &
writer=$!
on_exit "kill $writer 2>/dev/null"
wait_until guest_writes
for i in 1 2 3 4; do
	expect_code 0 live "w$i.vmab" --parent "$([ "$i" = 1 ] && echo 9 || echo "w$((i - 1))").vmab" -q
done
touch enough
wait $writer
expect_code 0 live w5.vmab --parent w4.vmab -q
restored_is w5.vmab a a.raw

# With --strict that is an error, but not again: the map begins anew all the same.
put a.raw 7000000 changed
expect_code 4 live strict.vmab --parent w5.vmab --strict
expect_text "$err" 'drive a: the record of its changes is wrong: byte 6946816 is not in it'
[ ! -e strict.vmab ] || fail "--strict left an archive"
expect_code 3 live strict.vmab --parent w5.vmab --strict --json
expect_text "$err" 'drive a: all of it is compared' 'found wrong'
expect_json "$out" "[x['proof'] and x['proof']['list'] for x in d['drives']] == [None, 'right', 'right']"
restored_is strict.vmab a a.raw
guest a 'h.pwrite(b"later", 3000000)'
expect_code 0 live after.vmab --parent strict.vmab --strict --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right'] * 3"
stop_serve
