# checkpoint rebuild of a QEMU: from a backup that nothing recorded after, and when the record is lost, while dependent
# writers go at its drives; increments of it, pushed and pulled, are each of one instant, by what was recorded.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$CLI/track.sh"

rebuild()
{
	expect_code "$1" "$VMABAK" checkpoint rebuild --json --parent "$2" "qemu:$qmp" --state state
}
# increment N PARENT HOW...: by what was recorded of both.
increment()
{
	n=$1 parent=$2
	shift 2
	track 0 -o "$n.vmab" --parent "$parent.vmab" --json "$@"
	expect_json "$out" "all(d['proof'] and d['proof']['list'] == 'right' for d in d['drives'])"
	expect_code 0 "$VMABAK" restore -q "$n.vmab" -C "out$n"
	ask_judge "out$n/A.raw" "out$n/B.raw"
	rm -r "out$n"
}

need_images
need_live_tools
small_drives
cp a.raw A.initial
qemu-img convert -U -f qcow2 -O raw b.qcow2 B.initial
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -o 0.vmab
write_A 9 5M 64k
qemu-img convert -U -f raw -O raw a.raw A.initial
rebuild 0 0.vmab
expect_json "$out" "[x['differing_clusters'] for x in d['drives']] == [1, 0]" "not any(x['known'] for x in d['drives'])"
write_B 4 6M 64k
qemu-img convert -f raw -O raw "$uri_B" B.initial
# The last cluster of each drive always counts.
track 0 -q -o 1.vmab --parent 0.vmab --json
is_increment - A=2 B=2
is_live 1.vmab
nothing_in_qemu
expect_code 0 "$VMABAK" checkpoint list --json "qemu:$qmp" --state state
expect_json "$out" "[c['state'] for c in d['checkpoints']] == ['good', 'good']"
rebuild 0 0.vmab
expect_json "$out" "[x['known'] for x in d['drives']] == [True, True]"

# At work; the folder is lost, and then a bitmap.
start_writers --chains 4 --align 512 --longest 65536 --rate 300
start_judge
rm -r state
rebuild 0 1.vmab
increment 2 1
increment 3 2 $pulled
increment 4 1
ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
for bitmap in $("$PYTHON" -S -c 'import json, sys
[node] = [n for n in json.load(open(sys.argv[1])) if n["node-name"] == "A"]
print(*[b["name"] for b in node["dirty-bitmaps"] if b["recording"]])' "$TMPDIR/nodes"); do
	ask_qmp block-dirty-bitmap-remove "{\"node\": \"A\", \"name\": \"$bitmap\"}" >said
done
rebuild 0 4.vmab
expect_json "$out" "[x['known'] for x in d['drives']] == [False, True]"
increment 5 4 $pulled
exec 3>&-
wait $judge || fail "the judge: $(cat answers)"
stop_writers
nothing_in_qemu

# Of another machine, of which a drive is missing.
expect_code 0 "$VMABAK" backup -q -o named.vmab C=a.raw --allow-writers
expect_error 2 'no drive that is called like one of this machine' "$VMABAK" checkpoint rebuild --parent named.vmab "qemu:$qmp" --state state
make_random other.raw 16777216 9
expect_code 0 "$VMABAK" backup -q -o alien.vmab A=other.raw
rebuild 3 alien.vmab
expect_text "$out" 'next to nothing of it is as alien.vmab has it' 'drive B: the archive has no drive of that name'
track 0 -q -o 6.vmab --parent alien.vmab --json
is_increment - A=256
is_live 6.vmab
