# An archive with damage: found, what is good recovered, the rest filled from an older archive; then a good one made.
. "$(dirname "$0")/../cli/lib.sh"

make_random web.raw 9000000 1
truncate -s 100M web.raw
expect_code 0 "$VMABAK" backup -q -o old.vmab root=web.raw
put web.raw 100 'one new byte'
expect_code 0 "$VMABAK" backup -q -o web.vmab root=web.raw
put web.vmab 5000000 'a bad sector'

expect_code 4 "$VMABAK" verify old.vmab web.vmab
expect_text "$out" 'old.vmab: ok'
expect_text "$err" 'web.vmab: damaged at byte' 'vmabak salvage'
expect_code 4 "$VMABAK" restore web.vmab -C none
[ ! -e none ] || fail "data of a damaged archive was restored"

# As in the message and the page.
expect_code 5 "$VMABAK" salvage web.vmab -C salvaged --map root.map
head -n 1 "$out" | grep -qE '^web.vmab: [0-9.]+ (KiB|MiB) of 100 MiB lost$' || fail "$(cat "$out")"
expect_text root.map '0x'
expect_code 0 "$VMABAK" salvage web.vmab -C filled --donor old.vmab
expect_text "$out" 'web.vmab: nothing lost' 'from donors'
cmp web.raw filled/root.raw || fail "not what was backed up"
expect_code 0 "$VMABAK" salvage -v web.vmab -C again --donor root=web.raw
expect_text "$err" 'head found' 'sections found, 1 of them damaged'
cmp web.raw again/root.raw || fail "not what was backed up"
expect_code 0 "$VMABAK" backup -q -o whole.vmab root=filled/root.raw
expect_code 0 "$VMABAK" verify whole.vmab
