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
