# What QEMU's bitmaps call unchanged is proved, before the instant of a push, and at that of a pull: a change that they missed is
# found, that drive is compared and its map begins anew for all chains, and the other drives stay incremental. A guest at work is
# no lie.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives

# missed DRIVE ARGUMENT...: write_DRIVE, and its bitmap does not notice, as another program has stopped it meanwhile.
missed()
{
	lib_drive=$1
	shift
	ask_qmp query-named-block-nodes '{"flat": true}' >nodes
	lib_bitmap=$("$PYTHON" -S -c 'import json, sys
print(*({"node": n["node-name"], "name": b["name"]} for n in json.load(open("nodes")) if n["node-name"] == sys.argv[1]
        for b in n["dirty-bitmaps"] if b["recording"]))' "$lib_drive" | tr "'" '"')
	ask_qmp block-dirty-bitmap-disable "$lib_bitmap" >/dev/null
	"write_$lib_drive" "$@"
	ask_qmp block-dirty-bitmap-enable "$lib_bitmap" >/dev/null
}

lists="[d['proof'] and d['proof']['list'] for d in d['drives']]"
track 0 -q -o 0.vmab
write_A 9 1M 100k
track 0 -o 1.vmab --parent 0.vmab --json
is_increment - A=3 B=1
expect_json "$out" "$lists == ['right', 'right']" "d['drives'][0]['proof']['right_clusters'] == 253" \
	"d['drives'][1]['proof']['right_clusters'] >= 256" "d['drives'][0]['proof']['audit_slices'] == 100"
expect_text "$err" 'read and right'
nothing_in_qemu

missed A 77 8M 4k
write_B 9 1M 4k
track 3 -o 2.vmab --parent 1.vmab --json
expect_text "$err" 'drive A: the record of its changes is wrong and not used: byte 8388608' 'all of the drive is compared'
expect_json "$out" "$lists == ['wrong', 'right']" "len(d['warnings']) == 1" "d['data_clusters'] == 2"
is_live 2.vmab
nothing_in_qemu
bitmaps_are A 2 B 4
write_A 10 2M 64k
track 0 -o 3.vmab --parent 2.vmab --json
is_increment - A=2 B=1
expect_json "$out" "$lists == ['right', 'right']"
is_live 3.vmab
track 3 -o 4.vmab --parent 0.vmab --json
expect_text "$err" 'drive A: all of it is compared with the parent: its changes were not recorded'
expect_json "$out" "$lists == [None, 'right']"
is_live 4.vmab

# The same of a pull; the chain goes on from the archive whose list was wrong.
track 0 -o p1.vmab --parent 4.vmab $pulled --json
is_increment - A=1 B=1
missed A 78 8M 4k
missed B 79 20M 4k
write_B 11 1M 4k
track 3 -o p2.vmab --parent p1.vmab $pulled --json
expect_text "$err" 'drive A: its change list is wrong and not used: byte 8388608'
expect_json "$out" "$lists == ['wrong', 'wrong']" "d['data_clusters'] == 3"
is_live p2.vmab
nothing_in_qemu
bitmaps_are A 2 B 2
write_A 12 4M 64k
track 0 -o p3.vmab --parent p2.vmab $pulled --json
is_increment - A=2 B=1
expect_json "$out" "$lists == ['right', 'right']"
is_live p3.vmab
bitmaps_are A 3 B 3
track 3 -o p4.vmab --parent p1.vmab --json
expect_text "$err" 'drive A: all of it is compared with the parent: its changes were not recorded'
is_live p4.vmab

# A guest that writes all the time.
touch at-work
(
	i=0
	while [ -e at-work ]; do
		i=$(((i + 5) % 256))
		qemu-io -f raw -c "write -q -P $i ${i}k 100k" -c "write -q -P $i $((i % 20 + 8))M 4k" "$uri_B" || exit
	done
) &
writer=$!
on_exit "kill $writer 2>/dev/null"
last=
for i in 5 6 7; do
	track 0 -q -o $i.vmab --parent "${last:-p4}.vmab"
	last=$i
done
# Also while a pull whose list is wrong goes on, up to where the new map has a bitmap.
missed B 80 24M 4k
track 3 -o wrong.vmab --parent 7.vmab $pulled --json
expect_json "$out" "$lists == ['right', 'wrong']"
track 0 -q -o 9.vmab --parent wrong.vmab $pulled
rm at-work
wait $writer
track 0 -q -o 10.vmab --parent 9.vmab
is_live 10.vmab
nothing_in_qemu

# With --strict that is an error, but not again: the map begins anew all the same.
pattern=81
for how in '' $pulled; do
	pattern=$((pattern + 1))
	rm -f s0.vmab s1.vmab
	track 0 -q -o s0.vmab $how
	missed A $pattern 8M 4k
	track 4 -o s1.vmab --parent s0.vmab --strict $how
	expect_text "$err" 'drive A: ' 'is wrong: byte 8388608 is not in it'
	[ ! -e s1.vmab ] || fail "--strict left an archive"
	nothing_in_qemu
	track 3 -o s1.vmab --parent s0.vmab --strict --json $how
	expect_text "$err" 'drive A: all of it is compared with the parent: its changes were not recorded'
	expect_json "$out" "$lists == [None, 'right']"
	is_live s1.vmab
	write_A $pattern 9M 4k
	rm -f s2.vmab
	track 0 -o s2.vmab --parent s1.vmab --strict --json $how
	is_increment - A=2 B=1
done
