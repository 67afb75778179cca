# A drive whose next bitmap QEMU refuses costs the others nothing: it is compared and said, they stay incremental, and all are
# tracked once more when QEMU no longer refuses.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
track 0 -q -o 0.vmab

# Someone reads the bitmap that each new one begins with.
find_end()
{
	ask_qmp query-named-block-nodes '{"flat": true}' >nodes
	end=$("$PYTHON" -S -c 'import json
print(*(b["name"] for n in json.load(open("nodes")) if n["node-name"] == "B" for b in n["dirty-bitmaps"] if b["name"].endswith("-end")))')
}

n=0
for how in '' "$pulled"; do
	find_end
	ask_qmp block-export-add "{\"type\": \"nbd\", \"id\": \"held\", \"node-name\": \"B\", \"name\": \"held\", \"bitmaps\": [\"$end\"]}" >/dev/null
	write_A 9 1M 64k
	write_B 9 2M 64k
	# shellcheck disable=SC2086
	track 3 -o $((n + 1)).vmab --parent $n.vmab --json $how
	expect_text "$err" 'drive B: is not tracked:' 'in use' 'drive B: all of it is compared with the parent: QEMU cannot record its changes'
	expect_no_text "$err" 'drive A'
	is_increment - A=2
	expect_json "$out" "d['n_tracked'] == 1" "d['drives'][1]['proof'] is None"
	is_live $((n + 1)).vmab
	ask_qmp block-export-del '{"id": "held"}' >/dev/null
	ask_qmp block-dirty-bitmap-remove "{\"node\": \"B\", \"name\": \"$end\"}" >/dev/null
	n=$((n + 1))
	track 3 -q -o $((n + 1)).vmab --parent $n.vmab
	expect_no_text "$err" 'drive A'
	write_B 10 5M 64k
	n=$((n + 1))
	track 0 -o $((n + 1)).vmab --parent $n.vmab --json
	is_increment - B=2
	n=$((n + 1))
	is_live $n.vmab
done
nothing_in_qemu
