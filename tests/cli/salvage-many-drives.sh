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

# cpu MAX COMMAND...: it must do with so many seconds of the processor.
cpu()
{
	expect_code 0 "$PYTHON" -c 'import resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
if used.ru_utime + used.ru_stime > float(sys.argv[1]):
    sys.exit(f"{used.ru_utime:.1f} s of the processor, and {used.ru_stime:.1f} s of the system")
sys.exit(code)' "$@"
}
cpu 3 "$VMABAK" salvage --no-sync bad.vmab --donor good.vmab -d d0=back
[ "$(tr -d '\377' <back | wc -c)" = 0 ] || fail "back holds something else"
cpu 3 "$VMABAK" restore --no-sync good.vmab -d d65534=last -d @3=third
nothing_but back bad.vmab good.vmab last lost third
mkdir a b
# Names of maps that would be the same are still seen.
expect_error 2 'two maps would have that name' "$VMABAK" salvage good.vmab --map maps -d d1=a/x -d d2=b/x
