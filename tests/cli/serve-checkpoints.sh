# Checkpoints of a serve: each backup makes one, and so does the user; what changed since is told exactly, also over NBD;
# they survive stops and kills with the map's file, and a backup that fails leaves none.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh nbdinfo
make_random a.raw 20000001 1
make_random b.raw 3000001 2
checkpoint() { "$VMABAK" checkpoint "$@"; }
names()
{
	expect_code 0 checkpoint list --json "${1:-serve:c.sock}"
	"$PYTHON" -c 'import json, sys
print(*[c["name"] + ("" if c["state"] == "good" else "?") for c in json.load(open(sys.argv[1]))["checkpoints"]])' "$out"
}
expect_names()
{
	lib_found=$(names ${2:-})
	[ "$lib_found" = "$1" ] || fail "the checkpoints are '$lib_found', not '$1'"
}
uuid_of() { "$VMABAK" list --json "$1" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])'; }

start_serve --map a=a.map --map b=b.map a=a.raw b=b.raw
expect_error 2 'no checkpoint yet' checkpoint size serve:c.sock
expect_names ''
expect_code 0 live 0.vmab -q
first=$(uuid_of 0.vmab)
expect_code 0 checkpoint create mine serve:c.sock --freeze-command 'echo freeze >>order' --thaw-command 'echo thaw >>order'
[ "$(cat order)" = "freeze
thaw" ] || fail "order: $(cat order)"
expect_error 2 'exists already' checkpoint create mine serve:c.sock
expect_error 2 'a name has at most' checkpoint create since-1 serve:c.sock
expect_error 2 'none of that name' checkpoint size other serve:c.sock
expect_error 2 'none of that name' checkpoint delete other serve:c.sock
guest a 'h.pwrite(b"x", 5 * 65536); h.pwrite(b"x", 20000000)'
expect_names "$first mine"
expect_code 0 checkpoint size --json serve:c.sock
expect_json "$out" "d['checkpoint'] == 'mine'" "d['changed_bytes'] == 65536 + 20000001 % 65536" \
	"[x['changed_bytes'] for x in d['drives']] == [d['changed_bytes'], 0]"
# What the next archive is likely to have, by the data and the size of the last one.
expect_code 0 "$VMABAK" list --json 0.vmab
cp "$out" full.json
expect_code 0 checkpoint size --json "$first" serve:c.sock
expect_json "$out" "d['changed_bytes'] == 65536 + 20000001 % 65536" "0.9 < d['expected_bytes'] / d['changed_bytes'] < 1.1"
expect_code 0 checkpoint size "$first" serve:c.sock
expect_text "$out" "drive a: " "since $first: "

# Of one drive alone, and of an archive that fails.
guest b 'h.pwrite(b"x", 0)'
expect_code 0 live 1.vmab -q -d b --parent 0.vmab
second=$(uuid_of 1.vmab)
expect_names "$first mine $second"
expect_code 0 checkpoint list serve:c.sock
expect_text "$out" "$second  (not all drives)"
expect_code 0 checkpoint size --json "$second" serve:c.sock
expect_json "$out" "[x['known'] for x in d['drives']] == [False, True]" "d['drives'][0]['changed_bytes'] == 20000001"
stalled_backup
wait_until sh -c '"$VMABAK" checkpoint list serve:c.sock | grep -q pending'
expect_error 7 'a backup' checkpoint create now serve:c.sock
kill -9 $backup
wait $backup 2>/dev/null || :
exec 5<&-
wait_until no_backup
expect_names "$first mine $second"

# Over NBD: each good one, under its name; several at a time.
nbdinfo --json --list 'nbd+unix:///a?socket=n.sock' >list.json
expect_json list.json "[c for c in d['exports'][0]['contexts'] if 'since' not in c and 'dirty' in c] == ['qemu:dirty-bitmap:$first', 'qemu:dirty-bitmap:mine']"
"$PYTHON" - "$first" <<'EOF' || fail "contexts"
import nbd, sys
names = ["qemu:dirty-bitmap:" + n for n in (sys.argv[1], "since-1", "mine", "since-0")] + ["base:allocation"]
h = nbd.NBD()
for name in names:
    h.add_meta_context(name)
h.connect_uri("nbd+unix:///a?socket=n.sock")
assert all(h.can_meta_context(name) for name in names), names
found = {}
at = 0
while at < h.get_size():
    ends = []
    def extents(name, offset, entries, error):
        end = offset
        for n, flags in zip(entries[::2], entries[1::2]):
            if flags and "dirty" in name:
                found.setdefault(name, set()).update(range(end // 65536, (end + n + 65535) // 65536))
            end += n
        ends.append(end)
    h.block_status(h.get_size() - at, at, extents)
    at = min(ends)
assert found == {name: {5, 20000000 // 65536} for name in names[:4]}, found
h.shutdown()
EOF

# As qemu-img has it, what changed is not allocated.
if command -v qemu-img >/dev/null; then
	qemu-img map --output=json --image-opts \
		"driver=nbd,server.type=unix,server.path=$PWD/n.sock,export=a,x-dirty-bitmap=qemu:dirty-bitmap:mine" >map.json
	expect_json map.json "[(e['start'], e['length']) for e in d if not e['data'] and not e['zero']] == [(5 * 65536, 65536), (19988480, 11521)]"
fi

# Deleted, kept by a stop and by a kill, and not by a map that began anew.
expect_error 1 'latest backup' checkpoint delete "$second" serve:c.sock
expect_code 0 checkpoint delete mine serve:c.sock --json
nbdinfo --map=qemu:dirty-bitmap:mine 'nbd+unix:///a?socket=n.sock' >said 2>&1 && fail "there is still one: $(cat said)"
expect_code 0 checkpoint delete "$second" serve:c.sock --force
expect_code 0 checkpoint create again serve:c.sock
expect_error 7 'in use' checkpoint list a.map
stop_serve
expect_names "$first again" a.map
expect_code 0 checkpoint size "$first" --json a.map
expect_json "$out" "d['changed_bytes'] == 65536 + 20000001 % 65536" "d['drives'][0]['size_bytes'] == 20000001"
expect_error 2 'needs the machine' checkpoint create offline a.map
expect_code 0 checkpoint delete again a.map
expect_names "$first" a.map
start_serve --map a=a.map --map b=b.map a=a.raw b=b.raw
expect_text serve.err 'a.map: clean'
expect_names "$first again"
stalled_backup
wait_until sh -c '"$VMABAK" checkpoint list serve:c.sock | grep -q pending'
kill_serve
wait $backup 2>/dev/null || :
exec 5<&-
# After a kill the file is not to be changed but by who opens the drive.
expect_error 2 'closed in order' checkpoint delete "$first" a.map --force
start_serve --map a=a.map --map b=b.map a=a.raw b=b.raw
expect_text serve.err 'a.map: killed'
expect_names "$first again"
expect_code 0 live 2.vmab -q --parent 0.vmab --json
expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
restored_is 2.vmab a a.raw
stop_serve
put a.raw 0 other
start_serve --map a=a.map a=a.raw
expect_names ''
stop_serve
start_serve --read-only a=a.raw
expect_error 2 'read only' checkpoint create none serve:c.sock
expect_names ''
expect_code 0 live 3.vmab -q
stop_serve
expect_error 2 'is not a map' checkpoint list a.raw
expect_error 2 'must be list' checkpoint lists a.map
expect_error 2 'needs NAME and SOURCE' checkpoint delete a.map
