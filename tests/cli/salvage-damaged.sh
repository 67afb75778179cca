# What is left of a damaged archive is had, and the rest is told: as text, as JSON, as a map.
. "$(dirname "$0")/lib.sh"

make_random a.raw 3000000 1
truncate -s 5M a.raw
make_random b.raw 2000000 2
echo 'cores: 2' >x.conf
# of each format: what salvage gives of an archive that is whole is what restore gives
for archive in a.vmab a.vma a.vma.zst a.vma.gz; do
	"$VMABAK" backup -q -o $archive -c x.conf a=a.raw b=b.raw
	expect_code 0 "$VMABAK" salvage $archive -C whole
	same_file a.raw whole/a.raw
	cmp -n 2000000 b.raw whole/b.raw || fail "b differs"
	same_file x.conf whole/x.conf
	[ "$(allocated whole/a.raw)" -lt 3200 ] || fail "a hole was written"
	rm -r whole
done

# one cluster is lost
flip a.vmab 1000000
expect_code 5 "$VMABAK" salvage a.vmab -C one --map one
expect_text "$out" 'a: 4.9 MiB recovered, 64.0 KiB lost: one/a.raw' '  lost: bytes 983040 to 1048575' '  [#########x######################################] x: lost'
"$PYTHON" - <<'EOF' || fail "what is not lost differs"
a, one = open("a.raw", "rb").read(), open("one/a.raw", "rb").read()
assert a[:983040] == one[:983040] and a[1048576:] == one[1048576:] and not any(one[983040:1048576])
EOF
same_file b.raw one/b.raw
same_file x.conf one/x.conf
grep -q '^0x000F0000  0x00010000  -$' one/a.raw.map || fail "$(cat one/a.raw.map)"
grep -q '^0x00000000  0x001E8480  +$' one/b.raw.map || fail "$(cat one/b.raw.map)"
expect_code 5 "$VMABAK" salvage --json a.vmab -C json
expect_json "$out" 'd["exit_code"] == 5' 'd["head"] == "found"' 'd["tail"] is True' \
	'd["damaged_sections"] == 1' 'd["drives"][0]["lost"] == [{"offset": 983040, "size_bytes": 65536}]' \
	'd["drives"][0]["good_bytes"] == 5242880 - 65536' 'd["drives"][1]["lost_bytes"] == 0'

# through a pipe, one drive, to a file of its own
expect_code 5 sh -c 'cat a.vmab | "$VMABAK" salvage - -d a=c.raw --map c.map'
same_file one/a.raw c.raw
same_file one/a.raw.map c.map
expect_code 0 "$VMABAK" salvage a.vmab -d b=b2.raw
same_file b.raw b2.raw

# nothing is overwritten, and there is no way to ask for it
cp c.raw before.raw
expect_error 2 'c.raw: exists already' "$VMABAK" salvage a.vmab -d a=c.raw
expect_error 2 'c.map: exists already' "$VMABAK" salvage a.vmab -d a=d.raw --map c.map
expect_error 2 'one/a.raw: exists already' "$VMABAK" salvage a.vmab -C one
expect_error 2 "unknown option '--force'" "$VMABAK" salvage --force a.vmab -C one
same_file before.raw c.raw
[ ! -e d.raw ] || fail "d.raw came to be"
expect_error 4 'no part of an archive found' "$VMABAK" salvage a.raw -C none
[ ! -e none ] || fail "a folder for nothing"

# a tape block of 64 KiB is missing: the two clusters that it held parts of are lost, and they alone
"$VMABAK" backup -q --compress none -o tape.vmab a=a.raw
{ head -c 500000 tape.vmab && tail -c +565537 tape.vmab; } >block.vmab
expect_code 5 "$VMABAK" salvage --json block.vmab -C tape
expect_json "$out" 'd["drives"][0]["lost_bytes"] == 131072' 'd["drives"][0]["n_lost"] == 1'
