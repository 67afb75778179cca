# What a reader keeps of clusters seen does not grow with what an archive claims: 300 drives of 1 PiB with runs of
# zeros are read in the memory of any other; and runs that are scattered on purpose cost no more than the archive is
# large, times 64.
. "$(dirname "$0")/lib.sh"

"$PYTHON" -c 'import xxhash' 2>/dev/null || skip "python has no xxhash"
# A program that takes more must fail alone, not take the memory of the machine.
(ulimit -v 4000000 && "$VMABAK" --version >/dev/null 2>&1) && ulimit -v 4000000

measured()
{
	memory=$1 code=$2
	shift 2
	expect_code "$code" "$PYTHON" "$CLI/measure.py" --memory "$memory" "$VMABAK" "$@"
}

"$PYTHON" "$CLI/costly.py" holes 300 holes.vmab
measured 40 0 verify --json holes.vmab
expect_json "$out" "d['archives'][0]['drives_bytes'] == 300 << 50"
measured 40 0 verify --quick holes.vmab
measured 40 0 convert --no-sync holes.vmab -o again.vmab
measured 40 0 verify again.vmab
"$PYTHON" "$CLI/costly.py" holes 1 hole.vmab
[ "$(size_of hole.vmab)" -le 4096 ] || fail "hole.vmab is large"
measured 40 0 verify hole.vmab
"$PYTHON" "$CLI/costly.py" scatter 32 scatter.vmab
measured $((40 + 64 * $(size_of scatter.vmab) / 1048576)) 0 verify scatter.vmab

# Where a file may be so large, such a drive is restored and salvaged too.
if truncate -s 1P "$base/probe" 2>/dev/null; then
	measured 60 0 restore --no-sync hole.vmab -C back
	[ "$(size_of back/d0.raw)" = $((1 << 50)) ] || fail "size $(size_of back/d0.raw)"
	measured 110 0 salvage --no-sync hole.vmab -C saved --map d0.map
	[ "$(size_of saved/d0.raw)" = $((1 << 50)) ] || fail "size $(size_of saved/d0.raw)"
fi
