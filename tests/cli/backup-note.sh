# A note is stored and shown; what a terminal would obey is escaped.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
expect_code 0 "$VMABAK" backup -o a.vmab --note 'vor dem Umzug: größer' drive.raw
expect_code 0 "$VMABAK" list a.vmab
expect_text "$out" 'vor dem Umzug: größer'
expect_code 0 "$VMABAK" list --json a.vmab
expect_json "$out" "d['note'] == 'vor dem Umzug: gr\u00f6\u00dfer'"

expect_code 0 "$VMABAK" backup -o b.vmab --note "$(printf 'one\033[31mred\ntwo\rthree')" drive.raw
expect_code 0 "$VMABAK" list b.vmab
! tr -d '\n' <"$out" | grep -q '[[:cntrl:]]' || fail "control characters: $(cat -v "$out")"
expect_text "$out" one red two three
expect_code 0 "$VMABAK" backup -o c.vmab --note '' drive.raw
expect_code 0 "$VMABAK" list --json c.vmab
expect_json "$out" "d['note'] is None"
