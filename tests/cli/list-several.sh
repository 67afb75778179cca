# list takes several archives, goes on behind one that fails, and gives the worst code. That an archive has its end mark
# is no proof of what it holds, and bytes behind that mark are damage.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
for name in one two; do
	expect_code 0 "$VMABAK" backup -o $name.vmab $name=drive.raw
done
expect_code 0 "$VMABAK" list one.vmab two.vmab
[ "$(cut -d ' ' -f 1 "$out" | tr '\n' ' ')" = 'ARCHIVE one.vmab two.vmab ' ] || fail "$(cat "$out")"
expect_code 0 "$VMABAK" list -v one.vmab two.vmab
[ "$(grep '^archive' "$out" | tr -s ' \n' ' ')" = 'archive one.vmab archive two.vmab ' ] || fail "$(cat "$out")"
expect_code 0 "$VMABAK" list one.vmab
expect_no_text "$out" 'archive '
head -c 500000 one.vmab >cut.vmab
expect_code 4 "$VMABAK" list missing.vmab cut.vmab two.vmab
grep -q '^cut.vmab .*NOT COMPLETE$' "$out" || fail "$(cat "$out")"
grep -q '^two.vmab .* 1 *977 KiB *980 KiB *984 KiB$' "$out" || fail "$(cat "$out")"
expect_no_text "$out" missing.vmab
expect_code 4 "$VMABAK" list cut.vmab
expect_text "$out" 'complete    NO'
expect_code 4 "$VMABAK" list missing.vmab cut.vmab two.vmab
expect_text "$err" 'missing.vmab: No such file' 'cut.vmab: incomplete at byte '
expect_code 1 "$VMABAK" list missing.vmab two.vmab
expect_code 4 "$VMABAK" list --json one.vmab missing.vmab cut.vmab
expect_json "$out" "[a['archive'] for a in d['archives']] == ['one.vmab', 'missing.vmab', 'cut.vmab']" \
	"d['archives'][0]['complete'] and not d['archives'][2]['complete']" \
	"[a.get('error', {}).get('code') for a in d['archives']] == [None, 'system', 'incomplete']" \
	"'error' not in d and d['exit_code'] == 4"
expect_code 0 sh -c '"$VMABAK" list -v two.vmab - <one.vmab'
[ "$(grep -c '^format' "$out")" = 2 ] || fail "$(cat "$out")"

# Damage in the middle is not for list to find.
cp one.vmab bad.vmab
flip bad.vmab 500000
expect_code 0 "$VMABAK" list bad.vmab
expect_text "$out" 'complete    end mark found, contents not checked'
expect_no_text "$out" yes
for n in 1 511 512 700; do
	{ cat one.vmab && head -c $n /dev/zero | tr '\0' x; } >longer.vmab
	expect_code 4 "$VMABAK" list longer.vmab
	expect_code 4 "$VMABAK" verify longer.vmab
	head -c $n /dev/zero | cat one.vmab - >padded.vmab
	expect_code 0 "$VMABAK" list padded.vmab
	expect_code 0 "$VMABAK" verify padded.vmab
done
