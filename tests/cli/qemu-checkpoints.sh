# checkpoint: list, size, create and delete of a QEMU whose changes are tracked, and of its maps.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
checkpoint()
{
	expect_code 0 "$VMABAK" checkpoint "$@" "qemu:$qmp" --state state --json
}

checkpoint create before --freeze-command 'echo freeze >>order' --thaw-command 'echo thaw >>order'
[ "$(cat order)" = "freeze
thaw" ] || fail "order: $(cat order)"
checkpoint size before
expect_json "$out" "[(x['name'], x['changed_bytes']) for x in d['drives']] == [('A', 65536), ('B', 65536)]"
write_A 1 5M 100k
track 0 -q -o 0.vmab
write_A 2 6M 64k
write_B 3 6M 64k
checkpoint size
expect_json "$out" "[x['changed_bytes'] for x in d['drives']] == [131072, 131072]"
checkpoint size before
expect_json "$out" "[x['changed_bytes'] for x in d['drives']] == [262144, 131072]"
checkpoint list
uuid=$("$VMABAK" list --json 0.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
expect_text "$out" '"before"' "\"$uuid\""
expect_error 2 'before: exists already' "$VMABAK" checkpoint create before "qemu:$qmp" --state state
expect_code 2 "$VMABAK" checkpoint delete none "qemu:$qmp" --state state
checkpoint delete before
checkpoint list
expect_no_text "$out" '"before"'
# A failed backup has none, and nothing of this disturbs the chain.
expect_code 1 "$VMABAK" backup -q "qemu:$qmp" --track --state state -o gone/1.vmab --parent 0.vmab
track 0 -o 1.vmab --parent 0.vmab --json
is_increment - A=2 B=2
is_live 1.vmab
checkpoint list
expect_code 0 "$VMABAK" checkpoint list --json state/A.map
expect_text "$out" "\"$uuid\""
# The instant has been, and then a bitmap cannot be read: nothing of it is lost.
write_A 4 7M 64k
mkdir away
expect_code 1 env TMPDIR="$PWD/away" "$VMABAK" checkpoint create late "qemu:$qmp" --state state \
	--freeze-command true --thaw-command 'mv away gone'
write_B 5 7M 64k
track 0 -o 2.vmab --parent 1.vmab --json
is_increment - A=2 B=2
is_live 2.vmab
nothing_in_qemu

# To ask makes nothing, and finds the bitmaps of maps that this folder does not know.
expect_code 0 "$VMABAK" checkpoint list --json "qemu:$qmp" --state other
[ ! -e other ] || fail "a list has made a folder"
expect_json "$out" "[(x['state'], x['uuid'], x['instant'], len(x['drives'])) for x in d['checkpoints']] == [('orphan', None, None, 1)] * 2" \
	"[x['drives'][0]['changed_bytes'] for x in d['checkpoints']] == [65536, 65536]"
orphans=$("$PYTHON" -S -c 'import json, sys
print(*[x["name"] for x in json.load(open(sys.argv[1]))["checkpoints"]])' "$out")
expect_code 0 "$VMABAK" checkpoint list "qemu:$qmp" --state other
expect_text "$out" '-                         orphan    ' "${orphans%% *}  (not all drives)"
expect_error 2 'no checkpoint yet' "$VMABAK" checkpoint size "qemu:$qmp" --state other
expect_error 2 'none of that name' "$VMABAK" checkpoint delete vmabak-0123456789abcdef "qemu:$qmp" --state other
mkdir other
expect_code 0 "$VMABAK" checkpoint list "qemu:$qmp" --state other
[ "$(ls other)" = lock ] || fail "a list has made $(ls other)"
# Where the map is known its bitmaps are none.
expect_error 2 'none of that name' "$VMABAK" checkpoint delete "${orphans%% *}" "qemu:$qmp" --state state
checkpoint list
expect_no_text "$out" orphan
# The folder is lost: what is left in QEMU goes, and with it nothing else.
rm -r state
ask_qmp block-dirty-bitmap-add '{"node": "A", "name": "vmabak-0123456789abcdef-mine"}' >said
for orphan in $orphans; do
	expect_code 0 "$VMABAK" checkpoint delete "$orphan" "qemu:$qmp" --state state
done
[ ! -e state ] || fail "a folder was made"
ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
expect_json "$TMPDIR/nodes" "sorted(b['name'] for n in d for b in n.get('dirty-bitmaps', [])) == ['vmabak-0123456789abcdef-mine']"
checkpoint create anew
checkpoint list
expect_json "$out" "[(x['name'], x['state']) for x in d['checkpoints']] == [('anew', 'good')]"
