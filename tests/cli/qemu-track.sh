# Increments of a QEMU that records what changes (--track): full, increment, a failed one, one after it, and one that stands
# on an older archive; pushed and pulled, raw and qcow2. Each is right to the byte, and holds and reads what was written.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
two_drives
track 0 -o 0.vmab --json
expect_json "$out" "[d['token'][:4] for d in d['drives']] == ['map:', 'map:']" \
	"d['n_tracked'] == 2" "all(len(d['token'].split(':')[1]) == 16 and d['token'].endswith(':1') for d in d['drives'])"
bitmaps_are A 2 B 2
write_A 9 5M 100k
track 0 -o 1.vmab --parent 0.vmab --json
is_increment 1.vmab A=3 B=1
bitmaps_are A 3 B 3
is_live 1.vmab
# One that fails: the next one has what changed since the one before.
write_A 10 7M 64k
write_B 11 9M 128k
expect_code 1 "$VMABAK" backup -q "qemu:$qmp" --track --state state -o gone/2.vmab --parent 1.vmab
"$VMABAK" backup -q "qemu:$qmp" --track --state state -o - --parent 1.vmab 2>"$err" | head -c 1000 >cut
expect_text "$err" 'standard output'
write_A 12 8M 64k
track 0 -o 3.vmab --parent 1.vmab --json
is_increment 3.vmab A=3 B=3
is_live 3.vmab
write_B 13 20M 64k
track 0 -o 4.vmab --parent 3.vmab --json $pulled
is_increment 4.vmab A=1 B=2
is_live 4.vmab
# Another chain, from the oldest.
write_A 14 40M 64k
track 0 -o 5.vmab --parent 0.vmab --json
is_increment 5.vmab A=6 B=4
is_live 5.vmab
track 0 -o 6.vmab --parent 0.vmab --json $pulled
is_increment 6.vmab A=6 B=4
is_live 6.vmab
track 0 -o 7.vmab --parent 4.vmab --json $pulled
is_increment 7.vmab A=2 B=1
is_live 7.vmab
nothing_in_qemu
