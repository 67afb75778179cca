# A bar on a terminal only, without escape sequences; lines elsewhere when asked for.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 6000000 1
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
# One line in the end, nothing before it.
grep -q '^a.vmab: 5.7 MiB of data from 1 drive, ' "$err" || fail "summary: $(cat "$err")"
[ "$(wc -l <"$err")" = 1 ] || fail "more than the summary"
expect_code 0 "$VMABAK" restore --rate 10M a.vmab -C back
[ "$(wc -l <"$err")" = 1 ] || fail "more than the summary: $(cat "$err")"
expect_code 0 "$VMABAK" verify --rate 10M a.vmab
[ ! -s "$err" ] || fail "progress where there is no terminal: $(cat "$err")"

# A line each 5 seconds.
expect_code 0 "$VMABAK" verify --progress always --rate 900K a.vmab
grep -qE '^vmabak: a.vmab: disk0: +[0-9]+%  [0-9.]+ MiB done, [0-9.]+ MiB left' "$err" || fail "no line: $(cat "$err")"

need_terminal
bar()
{
	expect_code 0 env "$1" script -qec "\"\$VMABAK\" verify --rate 5M a.vmab $2" /dev/null
	tr '\r' '\n' <"$out" >lines
}
bar A=b ''
grep -qE '^a.vmab: disk0 \[[=> ]+\] +[0-9]+%  ' lines || fail "no bar: $(cat -v lines)"
! grep -q "$(printf '\033')" lines || fail "escape sequences: $(cat -v lines)"
expect_text lines 'a.vmab: ok'
bar NO_COLOR=1 ''
grep -q '%' lines || fail "no bar with NO_COLOR"
bar A=b '--progress never'
[ "$(grep -c . lines)" = 1 ] || fail "not one line: $(cat -v lines)"
bar A=b --quiet
[ "$(grep -c . lines)" = 0 ] || fail "not quiet: $(cat -v lines)"
bar A=b '--quiet --progress always'
grep -q '%' lines || fail "no bar with always"
