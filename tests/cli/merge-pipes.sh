# Archives that come through pipes are read once, in any order as long as the newest is the first; a wrong, a cut or a
# missing one is named, and leaves nothing.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 5000000 1
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw
expect_code 0 "$VMABAK" backup -q -o foreign.vmab disk=disk.raw
for n in 1 2; do
	put disk.raw $((n * 1000000)) "$n"
	expect_code 0 "$VMABAK" backup -q --no-sums --parent $((n - 1)).vmab -o $n.vmab disk=disk.raw
done
expect_code 0 "$VMABAK" merge -q 2.vmab -o full.vmab
mkdir in
mv ./*.vmab in
mkfifo p q

# merged FIRST SECOND THIRD: through two pipes and standard input; the process reads what it wants of each.
merged()
{
	cat "$1" >p 2>/dev/null &
	first=$!
	cat "$2" >q 2>/dev/null &
	second=$!
	code=0
	timeout 200 "$VMABAK" merge -q p q - -o out.vmab <"$3" 2>"$err" || code=$?
	kill $first $second 2>/dev/null || true
	wait $first $second 2>/dev/null || true
}
merged in/2.vmab in/1.vmab in/0.vmab
[ $code = 0 ] || fail "$(cat "$err")"
same_file out.vmab in/full.vmab
rm out.vmab
merged in/2.vmab in/0.vmab in/1.vmab
[ $code = 0 ] || fail "$(cat "$err")"
same_file out.vmab in/full.vmab
rm out.vmab
"$VMABAK" merge -q in/2.vmab - in/0.vmab -o - <in/1.vmab | cmp - in/full.vmab || fail "a pipe between files"

# nothing CODE WORDS: of the last run.
nothing()
{
	[ "$code" = "$1" ] || fail "exit code $code, not $1: $(cat "$err")"
	[ "$1" != 2 ] || sed -i "/^try 'vmabak help/d" "$err"
	[ "$(wc -l <"$err")" = 1 ] || fail "not one line: $(cat "$err")"
	expect_text "$err" "$2"
	nothing_but disk.raw in p q
}
merged in/1.vmab in/2.vmab in/0.vmab
nothing 2 'q is no parent of p'
merged in/2.vmab in/1.vmab in/foreign.vmab
nothing 2 'is not named: name the parents'
merged in/2.vmab in/1.vmab in/1.vmab
nothing 2 'is not named: name the parents'
head -c 200000 in/0.vmab >in/cut
merged in/2.vmab in/1.vmab in/cut
nothing 4 incomplete
head -c 300 in/1.vmab >in/cut
merged in/2.vmab in/cut in/0.vmab
nothing 4 q
expect_error 2 'standard input can be read only once' "$VMABAK" merge - - -o out.vmab <in/0.vmab
expect_error 2 'is not named' sh -c 'cat in/2.vmab | "$VMABAK" merge - -o out.vmab'
expect_error 2 'is no parent' sh -c 'cat in/0.vmab | "$VMABAK" merge - in/2.vmab -o out.vmab'
