# Tokens: what a drive's instant is called goes through archives, sums files and conversions; a list that does not begin at
# the parent's instant is refused, and one of which that is not known is used only when the user says so.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"

size=1000000
make_random root.raw $size 1
make_random data.raw $size 2
token()
{
	"$VMABAK" list --json "$1" | "$PYTHON" -c 'import json, sys
print(*(drive["token"] for drive in json.load(sys.stdin)["drives"]))'
}

expect_code 0 "$VMABAK" backup -q --token root=rbd:vms/7@1 --token 'data=a=b c' -o 0.vmab root=root.raw data=data.raw
[ "$(token 0.vmab)" = 'rbd:vms/7@1 a=b c' ] || fail "tokens: $(token 0.vmab)"
expect_code 0 "$VMABAK" convert -q 0.vmab -o copy.vmab
[ "$(token copy.vmab)" = 'rbd:vms/7@1 a=b c' ] || fail "tokens of a copy: $(token copy.vmab)"
expect_code 0 "$VMABAK" sums -q --force 0.vmab

# The end of a list is the next token.
put root.raw 700000 changed
list good $size rbd:vms/7@1 rbd:vms/7@2 700000 7
for parent in 0.vmab 0.vmab.sums; do
	expect_code 0 "$VMABAK" backup -q --force --parent $parent --changed root=good -o 1.vmab root=root.raw data=data.raw
	[ "$(token 1.vmab)" = 'rbd:vms/7@2 None' ] || fail "tokens with $parent: $(token 1.vmab)"
	same_instant 1.vmab root data
done
expect_code 0 "$VMABAK" backup -q --parent 0.vmab --changed root=good --token root=rbd:vms/7@2 -o 2.vmab root=root.raw
rm 2.vmab

# refused TEXT OPTION...: nothing is written.
refused()
{
	text=$1
	shift
	expect_error 2 "$text" "$VMABAK" backup -q -o 2.vmab "$@" root=root.raw
	[ ! -e 2.vmab ] || fail "there is an archive"
}
list other $size rbd:vms/7@4 rbd:vms/7@8 700000 7
refused "is since 'rbd:vms/7@4', but the parent shows 'rbd:vms/7@1'" --parent 0.vmab --changed root=other
refused "is since 'rbd:vms/7@4', but the parent shows 'rbd:vms/7@1'" --parent 0.vmab --changed root=other --since-unchecked
list unknown $size - - 700000 7
refused 'does not say since when it is' --parent 0.vmab --changed root=unknown
refused 'another token than --token says' --parent 0.vmab --changed root=good --token root=x
refused "'root': must be NAME=TEXT" --token root
refused 'there is no drive wrong' --token wrong=x
refused '1 to 1024 bytes' --token root=
refused '1 to 1024 bytes' --token root="$("$PYTHON" -c 'print("x" * 1025)')"
for option in --strict --since-unchecked --audit=1/2 --incremental=require; do
	refused "needs --parent" $option
done
for audit in 1/0 1/10001 2/3 30 1/ 1/3x ''; do
	refused "must be 1/K, K from 1 to 10000, or 0" --parent 0.vmab --audit "$audit"
done
expect_error 2 'VMA cannot store tokens' "$VMABAK" backup --token root=x -o 2.vma root=root.raw
expect_code 0 "$VMABAK" backup -q --since-unchecked --parent 0.vmab --changed root=unknown -o 2.vmab root=root.raw
same_instant 2.vmab root

# A parent without tokens.
expect_code 0 "$VMABAK" backup -q -o bare.vmab root=root.raw
rm 2.vmab
refused 'the parent has no token' --parent bare.vmab --changed root=good
expect_code 0 "$VMABAK" backup -q --since-unchecked --parent bare.vmab --changed root=good -o 2.vmab root=root.raw

# A drive that the parent lacks: all of it is stored, or nothing at all.
rm 2.vmab
refused 'no drive of that name, so all of it would have to be stored' --incremental require --parent 0.vmab new=data.raw
list new $size - x
expect_code 3 "$VMABAK" backup --parent 0.vmab --changed new=new -o 2.vmab root=root.raw new=data.raw
expect_text "$err" "drive new: its change list is not used"
mv data.raw new.raw
same_instant 2.vmab root new
[ "$(token 2.vmab)" = 'None x' ] || fail "tokens of a new drive: $(token 2.vmab)"

# Into a folder: the first one is full, and one whose parent is gone.
mkdir folder
expect_error 2 'there is no parent yet' "$VMABAK" backup --to folder --name vm --incremental require root=root.raw
[ "$(find folder -name '*.vmab' 2>/dev/null)" = '' ] || fail "there is an archive"
expect_code 0 "$VMABAK" backup -q --to folder --name vm root=root.raw
expect_error 2 'vm: a full archive is due, by --full-every, which --incremental require excludes' "$VMABAK" backup --to folder \
	--name vm --full-every 1 --incremental require root=root.raw
rm folder/vm-*
