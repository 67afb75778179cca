# What an incremental archive does not hold is not lost, if it can be known that it never did; but it is not recovered,
# which a warning tells, and exit code 5.
. "$(dirname "$0")/lib.sh"

compile - a.vmab <<'EOF'
format vmab
parent 000102030405060708090a0b0c0d0e0f
drive disk0 2M
extent
data disk0 3 fill 61
data disk0 4 fill 62
zeros disk0 20 2
extent
data disk0 9 fill 63
EOF
expect_code 5 "$VMABAK" salvage a.vmab -C text
expect_text "$out" 'a.vmab: 1.7 MiB of 2.0 MiB not recovered: its parents are not named'
expect_no_text "$out" 'nothing lost'
expect_text "$err" 'warning: a.vmab: is incremental: data that its parent holds is not recovered; name its parents'
expect_code 5 "$VMABAK" salvage --json a.vmab -C whole --map map
expect_json "$out" '"name its parents" in d["warnings"][0]' 'd["drives"][0]["lost"] == []' 'd["drives"][0]["good_bytes"] == 5 * 65536' \
	'd["drives"][0]["absent_bytes"] == 27 * 65536'
grep -q '^0x00030000  0x00020000  +$' map || fail "$(cat map)"
grep -q '^0x00000000  0x00030000  ?$' map || fail "$(cat map)"
# the header of an extent is gone: the index names what it held
flip a.vmab $((512 + 20))
expect_code 5 "$VMABAK" salvage --json a.vmab -C bad
expect_json "$out" 'd["drives"][0]["absent_bytes"] == 27 * 65536' \
	'[one["offset"] // 65536 for one in d["drives"][0]["lost"]] == [3, 20]'
# the index too: now nobody can know
head -c 133000 a.vmab >cut.vmab
expect_code 5 "$VMABAK" salvage --json cut.vmab -C cut
expect_json "$out" 'd["drives"][0]["lost"] == [{"offset": 9 * 65536, "size_bytes": 65536}]' 'd["drives"][0]["good_bytes"] == 0'
# One that holds all of its drives needs no parents.
compile - all.vmab <<'EOF'
format vmab
parent 000102030405060708090a0b0c0d0e0f
drive disk0 64K
extent
data disk0 0 fill 61
EOF
expect_code 0 "$VMABAK" salvage all.vmab -C all
expect_text "$out" 'nothing lost'
