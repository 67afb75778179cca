# VMA without checksums: what is there is kept and called what it is; where bytes are missing in an
# extent nothing of it is.
. "$(dirname "$0")/lib.sh"

make_random a.raw 12000000 1
"$VMABAK" backup -q --no-vma-checksums -o a.vma a=a.raw
expect_code 0 "$VMABAK" salvage --json a.vma -C whole --map whole
expect_json "$out" 'd["drives"][0]["unverified_bytes"] == 12000256' 'd["drives"][0]["lost_bytes"] == 0'
grep -q '^0x00000000  0x00B71C00  ?$' whole/a.raw.map || fail "$(cat whole/a.raw.map)"
expect_code 0 "$VMABAK" salvage a.vma -C text
expect_text "$err" 'has no data checksums'
cmp -n 12000000 a.raw whole/a.raw

# 58 clusters an extent: the second begins at 12800 + 512 + 58 * 65536
second=$((12800 + 512 + 58 * 65536))
lost()
{
	expect_code 5 "$VMABAK" salvage --json x.vma -C out
	expect_json "$out" "d['drives'][0]['lost'] == $1"
	rm -r out
}
# 512 bytes are gone from the first extent: it is lost, and only it
{ head -c 1000000 a.vma && tail -c +1000513 a.vma; } >x.vma
lost '[{"offset": 0, "size_bytes": 58 * 65536}]'
# they are there twice
{ head -c 1000512 a.vma && tail -c +1000001 a.vma; } >x.vma
lost '[{"offset": 0, "size_bytes": 58 * 65536}]'
# the second header is destroyed, all of it or a bit: the first extent stays
{ head -c $second a.vma && make_random junk 512 && cat junk && tail -c +$((second + 513)) a.vma; } >x.vma
lost '[{"offset": 58 * 65536, "size_bytes": 58 * 65536}]'
cp a.vma x.vma
flip x.vma $((second + 300))
lost '[{"offset": 58 * 65536, "size_bytes": 58 * 65536}]'
# it ends early: what came before the cut is had
head -c $((second + 512 + 65536 * 3 + 5)) a.vma >x.vma
lost '[{"offset": 61 * 65536, "size_bytes": 12000256 - 61 * 65536}]'
