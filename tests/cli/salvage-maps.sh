# ddrescuelog takes the maps, and counts as we do.
. "$(dirname "$0")/lib.sh"

need ddrescuelog
make_random a.raw 8000001 1
truncate -s 0 empty.raw
"$VMABAK" backup -q --compress none -o a.vmab a=a.raw empty=empty.raw
"$VMABAK" backup -q --no-vma-checksums -o a.vma a=a.raw
for at in 300000 305000 2000000 5000000 8001000; do
	flip a.vmab $at
done
{ head -c 700000 a.vma && tail -c +700513 a.vma; } >b.vma
expect_code 5 "$VMABAK" salvage --json a.vmab -C vmab --map vmab
counted()
{
	ddrescuelog --list-blocks="$2" -b 65536 "$1" | wc -l
}
expect_json "$out" 'd["drives"][0]["lost_bytes"] == 4 * 65536'
[ "$(counted vmab/a.raw.map -)" = 4 ] || fail "$(cat vmab/a.raw.map)"
ddrescuelog -t vmab/a.raw.map >text
expect_text text 'mapfile extent:    8000 kB' 'bad-sector:   262144 B,  in      4 area(s)' \
	'non-tried:        0 B'
ddrescuelog -t vmab/empty.raw.map >text || fail "the map of an empty drive: $(cat vmab/empty.raw.map)"
expect_code 5 "$VMABAK" salvage b.vma -C vma --map map
[ "$(counted map ?)" -gt 0 ] && [ "$(counted map -)" = 58 ] || fail "$(cat map)"
