# What a tracker loses is compared, and said: QEMU that is killed or started anew, drives of another size, made smaller and
# larger again, replaced, bitmaps that another program removed, cleared, stopped or made anew, other and lost state folders.
# The archive is right each time, the other drive stays incremental, and the next backup is incremental again.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
n=0
track 0 -q -o 0.vmab

# goes_on REASON DRIVE...: these drives are compared for that reason, the others are not; and once more all are tracked.
goes_on()
{
	lib_reason=$1
	shift
	write_A $((n + 1)) 3M 64k
	write_B $((n + 2)) 4M 64k
	track 3 ${how:-} -o $((n + 1)).vmab --parent $n.vmab --json
	for lib_drive in A B; do
		case " $* " in
		*" $lib_drive "*)
			expect_text "$err" "drive $lib_drive: all of it is compared with the parent: its changes were not recorded: $lib_reason"
			expect_json "$out" "[d['proof'] for d in d['drives'] if d['name'] == '$lib_drive'] == [None]" ;;
		*)
			expect_no_text "$err" "drive $lib_drive:"
			is_increment - "$lib_drive=2" ;;
		esac
	done
	n=$((n + 1))
	is_live $n.vmab
	write_A $((n + 3)) 6M 64k
	track 0 ${how:-} -o $((n + 1)).vmab --parent $n.vmab --json
	is_increment - A=2 B=1
	n=$((n + 1))
	is_live $n.vmab
	only_ours
}

# Of maps that do not count any more nothing is left in QEMU.
only_ours()
{
	ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
	"$PYTHON" -S -c 'import json, sys
for node in json.load(open(sys.argv[1])):
    names = [b["name"] for b in node.get("dirty-bitmaps", []) if b["name"].startswith("vmabak-")]
    if len(names) not in (0, 2):
        sys.exit(f"{node['"'node-name'"']}: {names}")' "$TMPDIR/nodes" || fail "bitmaps are left"
}

# bitmap NODE: $bitmap is the one that records.
bitmap()
{
	ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
	bitmap=$("$PYTHON" -S -c 'import json, sys
[node] = [n for n in json.load(open(sys.argv[1])) if n["node-name"] == sys.argv[2]]
print(*[b["name"] for b in node["dirty-bitmaps"] if b["recording"]])' "$TMPDIR/nodes" "$1")
}

change()
{
	ask_qmp "block-dirty-bitmap-$1" "{\"node\": \"$2\", \"name\": \"$bitmap\"${3:-}}" >/dev/null
}

# resize_B BYTES...: one after the other.
resize_B()
{
	ask_qmp block-export-del '{"id": "b"}' >/dev/null
	for lib_size; do
		ask_qmp block_resize "{\"node-name\": \"B\", \"size\": $lib_size}" >/dev/null
	done
	ask_qmp block-export-add '{"type": "nbd", "id": "b", "node-name": "B", "name": "B", "writable": true}' >/dev/null
}

# Another program.
bitmap A
change remove A
goes_on 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror' A
bitmap B
change remove B
change add B ', "granularity": 65536'
goes_on 'another program has cleared its bitmap, or made it anew' B
bitmap B
change remove B
change add B ', "granularity": 32768'
goes_on 'its bitmap is broken, as QEMU was killed, or was made by another program' B
bitmap A
change disable A
goes_on 'another program has stopped its bitmap' A
# One that the guest wrote to since: the last cluster tells.
bitmap A
change clear A
write_A 77 12M 64k
goes_on 'another program has cleared its bitmap, or made it anew' A
how=$pulled
bitmap A
change clear A
write_A 78 12M 64k
goes_on 'another program has cleared its bitmap, or made it anew' A
how=

# Maps that begin anew twice, as QEMU cannot be given a file: nothing is left of the first ones either.
for node in A B; do
	bitmap $node
	change disable $node
done
expect_code 3 env TMPDIR=/nonexistent "$VMABAK" checkpoint create none "qemu:$qmp" --state state
expect_text "$err" 'drive A: is not tracked' 'drive B: is not tracked'
ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
expect_no_text "$TMPDIR/nodes" 'vmabak-'
goes_on 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror' A B

# The ends of QEMU.
end_process "$daemon"
start_drives
goes_on 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror' A
kill -9 "$daemon"
wait_until gone "$daemon"
start_drives
goes_on 'QEMU was' A B
# Any backup removes the broken ones that are ours, and no others.
end_process "$daemon"
start_drives
ask_qmp block-dirty-bitmap-add '{"node": "B", "name": "mine", "persistent": true}' >/dev/null
end_process "$daemon"
start_drives
kill -9 "$daemon"
wait_until gone "$daemon"
start_drives
expect_code 0 "$VMABAK" backup "qemu:$qmp" -o plain.vmab
expect_text "$err" 'removed 2 bitmaps of ours from QEMU'
ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
expect_json "$TMPDIR/nodes" '[(b["name"], b["inconsistent"]) for n in d for b in n.get("dirty-bitmaps", [])] == [("mine", True)]'
ask_qmp block-dirty-bitmap-remove '{"node": "B", "name": "mine"}' >/dev/null
resize_B 33554432
goes_on 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror' A B

# Sizes.
resize_B 33619968
goes_on 'it has another size than before' B
resize_B 8388608 33619968
goes_on 'it was made smaller and larger again' B

# State folders.
state=other
track 3 -q -o other.vmab --parent $n.vmab
expect_text "$err" 'it has not been tracked before with this state folder'
is_live other.vmab
unset state
write_A 99 2M 64k
track 0 -o after.vmab --parent $n.vmab --json
is_increment - A=2 B=1
rm -r state
track 3 -o lost.vmab --parent after.vmab --json
expect_text "$err" 'drive A: all of it is compared' 'drive B: all of it is compared'
is_live lost.vmab
nothing_in_qemu
