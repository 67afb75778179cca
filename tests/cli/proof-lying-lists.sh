# Lists that are in order and wrong: an empty one by mistake, one since another checkpoint, one that is a cluster too short.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"

make_image fs.raw 48
size=$(size_of fs.raw)
uuid=01234567-89ab-cdef-0123-45678900000
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}0 --token fs=cp1 -o 0.vmab fs=fs.raw
cp --sparse=always fs.raw old.raw

# A file system in use: a file goes, one comes.
need debugfs
seq 1 400000 >new
debugfs -w -R 'rm random' fs.raw >/dev/null 2>&1
debugfs -w -R 'write new new' fs.raw >/dev/null 2>&1
cp --sparse=always fs.raw middle.raw
# differ A B: what differs, as OFFSET LENGTH, a cluster each.
differ()
{
	"$PYTHON" -c 'import sys
old, new = (open(name, "rb").read() for name in sys.argv[1:3])
for at in range(0, len(new), 65536):
    if old[at:at + 65536] != new[at:at + 65536]:
        print(at, min(65536, len(new) - at))' "$@"
}
# shellcheck disable=SC2046 # words
list good $size cp1 cp3 $(differ old.raw fs.raw)
n_changed=$(sed -n 's/# end //p' good)
[ "$n_changed" -gt 20 ] || fail "only $n_changed clusters have changed"
expect_code 0 "$VMABAK" backup -q --parent 0.vmab --changed fs=good -o good.vmab fs=fs.raw
same_instant good.vmab fs

# lie NAME RULE...
lie()
{
	name=$1
	shift
	expect_code 3 "$VMABAK" backup --uuid ${uuid}1 --parent 0.vmab --changed fs=$name -o $name.vmab fs=fs.raw
	expect_found $name.vmab "$@"
	same_instant $name.vmab fs
}

# The tool failed, and printed a list of nothing.
list empty $size cp1 cp3
lie empty holes samples audit

# Since a checkpoint that came later: by its token.
put fs.raw $((40 << 20)) 'written after the second checkpoint'
# shellcheck disable=SC2046 # words
list later $size cp2 cp3 $(differ middle.raw fs.raw)
expect_error 2 "is since 'cp2', but the parent shows 'cp1'" "$VMABAK" backup --parent 0.vmab --changed fs=later -o later.vmab fs=fs.raw
# The same, where nobody wrote down what it is since.
sed -i '/# since/d' later
expect_code 3 "$VMABAK" backup --since-unchecked --uuid ${uuid}1 --parent 0.vmab --changed fs=later -o later.vmab fs=fs.raw
expect_found later.vmab holes neighbours samples audit
same_instant later.vmab fs

# Each run a cluster short: by what is beside them.
# shellcheck disable=SC2046 # words
list short $size cp1 cp3 $(differ old.raw fs.raw | awk '
	function out() { if (n > 65536) print from, n - 65536 }
	$1 != from + n { out(); from = $1; n = 0 }
	{ n += $2 }
	END { out() }')
lie short holes neighbours
