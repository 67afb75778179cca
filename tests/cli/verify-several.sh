# verify goes on to the next archive, tells each, and gives the worst code.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
expect_code 0 "$VMABAK" backup -o good.vmab drive.raw
expect_code 0 "$VMABAK" backup -o good.vma drive.raw
cp good.vmab bad.vmab
flip bad.vmab 500000
cp good.vmab new.vmab
printf '\002' | dd of=new.vmab bs=1 seek=8 conv=notrunc status=none
compile unsupported-vmab-version unsupported.vmab

expect_code 0 "$VMABAK" verify good.vmab good.vma
[ "$(cut -d, -f1 "$out" | tr '\n' ' ')" = 'good.vmab: ok good.vma: ok ' ] || fail "$(cat "$out")"
expect_code 4 "$VMABAK" verify good.vmab bad.vmab missing.vmab good.vma
[ "$(grep -c ': ok' "$out")" = 2 ] || fail "not two good ones: $(cat "$out")"
expect_text "$out" 'bad.vmab: DAMAGED' 'missing.vmab: not verified'
[ "$(wc -l <"$err")" = 2 ] || fail "not two bad ones: $(cat "$err")"
expect_text "$err" 'bad.vmab: damaged at byte ' 'missing.vmab: No such file'
expect_code 4 "$VMABAK" verify missing.vmab bad.vmab
expect_code 1 "$VMABAK" verify good.vmab missing.vmab
expect_code 1 "$VMABAK" verify unsupported.vmab good.vmab
expect_text "$err" 'not supported'
expect_code 4 "$VMABAK" verify unsupported.vmab bad.vmab
expect_code 4 sh -c '"$VMABAK" verify good.vma - <bad.vmab'
expect_text "$err" '-: damaged at byte '

expect_code 4 "$VMABAK" verify --json good.vmab bad.vmab missing.vmab
expect_json "$out" "[a['ok'] for a in d['archives']] == [True, False, False]" \
	"[a['archive'] for a in d['archives']] == ['good.vmab', 'bad.vmab', 'missing.vmab']" \
	"d['archives'][1]['error']['code'] == 'damaged'" "d['archives'][1]['error']['byte'] > 0" \
	"d['archives'][2]['error']['code'] == 'system'" "d['exit_code'] == 4"
