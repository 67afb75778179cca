# Archives with very many drives, one of them damaged, cost salvage and its donors no more than their sizes: what is
# looked up by name is not looked for among all.
. "$(dirname "$0")/lib.sh"

"$PYTHON" -c 'import xxhash' 2>/dev/null || skip "python has no xxhash"
"$PYTHON" "$CLI/costly.py" drives 65535 good.vmab
expect_code 0 "$VMABAK" verify good.vmab
"$PYTHON" -c '
data = open("good.vmab", "rb").read()
at = data.index(b"\xff" * 65536)
open("bad.vmab", "wb").write(data[:at] + b"x" + data[at + 1:])'
expect_code 5 "$VMABAK" salvage --no-sync bad.vmab -d d0=lost

measured()
{
	expect_code 0 "$PYTHON" "$CLI/measure.py" --processor 3 "$VMABAK" "$@"
}
measured salvage --no-sync bad.vmab --donor good.vmab -d d0=back
[ "$(tr -d '\377' <back | wc -c)" = 0 ] || fail "back holds something else"
measured restore --no-sync good.vmab -d d65534=last -d @3=third
nothing_but back bad.vmab good.vmab last lost third
mkdir a b
# Names of maps that would be the same are still seen.
expect_error 2 'two maps would have that name' "$VMABAK" salvage good.vmab --map maps -d d1=a/x -d d2=b/x
