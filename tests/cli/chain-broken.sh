# A chain that lacks an archive, or has a damaged, a wrong or a foreign one: one line that names it, and nothing is left.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 2000000 1
mkdir chain others
expect_code 0 "$VMABAK" backup -q -o chain/0.vmab disk=disk.raw
for n in 1 2 3; do
	printf "$n" | dd of=disk.raw bs=1 seek=$((n * 300000)) conv=notrunc status=none
	expect_code 0 "$VMABAK" backup -q --no-sums --parent chain/$((n - 1)).vmab -o chain/$n.vmab disk=disk.raw
done
[ "$(size_of chain/3.vmab)" -lt 100000 ] || fail "the increment has $(size_of chain/3.vmab) bytes"
uuid=$("$VMABAK" list --json chain/1.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')

# Parents in another folder are named, in any order; copies and what is no archive beside them do not matter.
mv chain/1.vmab chain/0.vmab others
cp others/1.vmab others/copy.vmab
head -c 100 others/0.vmab >chain/short
cat others/0.vmab others/0.vmab >chain/twice-as-long.x
: >chain/empty
expect_code 1 "$VMABAK" restore chain/3.vmab -C back
expect_text "$err" "chain/2.vmab: its parent $uuid is not in folder chain" 'nor named'
nothing_but chain disk.raw others
# verify looks at one archive, not at its parents.
expect_code 0 "$VMABAK" verify -q chain/3.vmab
expect_code 0 "$VMABAK" restore -q chain/3.vmab others/0.vmab others/1.vmab -C back
same_file back/disk.raw disk.raw
rm -r back
# Or their folder is, which may hold anything else, too.
expect_code 0 "$VMABAK" restore -q chain/3.vmab --parents others -C back
same_file back/disk.raw disk.raw
expect_code 0 "$VMABAK" restore -q chain/3.vmab others/0.vmab --parents chain --parents others --force -C back
expect_code 0 "$VMABAK" verify -q --chain chain/3.vmab --parents others
# There and back: the parent of one that lies elsewhere is beside the newest.
mv others/0.vmab chain
expect_code 0 "$VMABAK" restore -q chain/3.vmab --parents others --force -C back
expect_code 0 "$VMABAK" restore -q chain/3.vmab others/1.vmab --force -C back
same_file back/disk.raw disk.raw
# So it is where one between them was named: it and the next lie beside the newest, or beside another that was named.
mv chain/2.vmab others
mv others/1.vmab chain
mkdir third
for archives in 'chain/3.vmab others/2.vmab' 'chain/3.vmab others/2.vmab third/1.vmab'; do
	[ "$archives" = "${archives#*third}" ] || mv chain/1.vmab third
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" restore -q $archives --force -C back
	same_file back/disk.raw disk.raw
done
mv chain/0.vmab third/1.vmab others
mv others/2.vmab chain
rmdir third
expect_code 0 "$VMABAK" convert -q chain/3.vmab --parents others -o merged.vma
expect_code 0 "$VMABAK" merge -q chain/3.vmab --parents others -o merged.vmab
expect_code 0 "$VMABAK" restore -q --force merged.vmab -C back
same_file back/disk.raw disk.raw
rm merged.vma merged.vmab
expect_code 0 "$VMABAK" sums -q chain/3.vmab --parents others -o by-folder.sums
expect_code 0 "$VMABAK" diff chain/3.vmab by-folder.sums --parents others
expect_code 0 "$VMABAK" backup -q --parent chain/3.vmab --parents others -o new.vmab disk=disk.raw
expect_code 1 "$VMABAK" restore chain/3.vmab --parents nowhere -C back2
expect_text "$err" nowhere
expect_code 1 "$VMABAK" restore chain/3.vmab --parents chain -C back2
expect_text "$err" "chain/2.vmab: its parent $uuid is not in folder chain" '--parents DIR'
rm -r back new.vmab new.vmab.sums by-folder.sums
# The first name is the instant that is wanted, whatever else is named.
expect_error 2 'chain/3.vmab is no parent of others/1.vmab' "$VMABAK" restore others/1.vmab chain/3.vmab others/0.vmab -C back
expect_code 2 "$VMABAK" restore chain/3.vmab others/1.vmab others/copy.vmab -C back
rm chain/twice-as-long.x

# A copy whose head is damaged does not stand in the way of a good one.
mv others/0.vmab others/1.vmab chain
for copy in 00 zz; do
	cp chain/1.vmab chain/$copy.vmab
	flip chain/$copy.vmab 300
done
expect_code 0 "$VMABAK" restore -q chain/3.vmab -C back
same_file back/disk.raw disk.raw
rm -r back chain/00.vmab chain/zz.vmab
mv chain/0.vmab chain/1.vmab others

# One that is cut off is said to be that once.
head -c 1000000 others/0.vmab >cut.vmab
expect_code 4 "$VMABAK" restore chain/3.vmab others/1.vmab cut.vmab -C back
expect_text "$err" 'cut.vmab: incomplete at byte 1000000: the end is missing'
rm cut.vmab

# Of another machine, without a chain, from a pipe.
expect_code 0 "$VMABAK" backup -q -o other.vmab disk=disk.raw
expect_error 2 'is no parent of chain/3.vmab' "$VMABAK" restore chain/3.vmab other.vmab others/0.vmab others/1.vmab -C back
expect_error 2 'not from standard input' sh -c '"$VMABAK" restore - -C back <chain/3.vmab'
expect_code 0 "$VMABAK" convert -q other.vmab -o other.vma
expect_error 2 'VMA' "$VMABAK" backup -o new.vmab --parent other.vma disk=disk.raw
expect_error 2 'VMA has no increments' "$VMABAK" backup -o new.vma --parent other.vmab disk=disk.raw
expect_code 1 "$VMABAK" backup -o new.vmab --parent missing.vmab disk=disk.raw
expect_text "$err" 'missing.vmab'
expect_error 2 'uuid of the new archive' "$VMABAK" backup -o new.vmab --parent other.vmab --uuid \
	"$("$VMABAK" list --json other.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')" disk=disk.raw
rm other.vmab other.vma

# Damaged, cut, and put in the place of another.
mv others/0.vmab others/1.vmab chain
rm -r others chain/short chain/empty
cp chain/1.vmab good
flip chain/1.vmab 700
expect_code 4 "$VMABAK" restore chain/3.vmab -C back
expect_text "$err" 'chain/1.vmab: damaged at byte'
head -c 3000 good >chain/1.vmab
expect_code 4 "$VMABAK" restore chain/3.vmab -C back
expect_text "$err" 'chain/1.vmab' incomplete
expect_code 4 "$VMABAK" sums chain/3.vmab
expect_code 4 "$VMABAK" diff chain/3.vmab chain/0.vmab
expect_code 4 "$VMABAK" backup -o new.vmab --parent chain/3.vmab disk=disk.raw
expect_text "$err" 'chain/1.vmab'
cp good chain/1.vmab
nothing_but chain disk.raw good

# A sums file that is damaged, or lost a page, is not believed, neither as one that is named nor beside its archive.
expect_code 0 "$VMABAK" sums -q chain/3.vmab -o good.sums
expect_error 2 'exists already' "$VMABAK" sums chain/3.vmab -o good.sums
cp good.sums bad.sums
flip bad.sums 5000
expect_code 4 "$VMABAK" backup -o new.vmab --parent bad.sums disk=disk.raw
expect_text "$err" 'bad.sums' 'damaged'
head -c 8192 good.sums >chain/3.vmab.sums
expect_code 0 "$VMABAK" diff chain/3.vmab good.sums
expect_code 0 "$VMABAK" backup -q --no-sums -o new.vmab --parent chain/3.vmab disk=disk.raw
rm chain/3.vmab.sums new.vmab

# Restored in place: what was there does not shine through.
make_random target.raw 2500000 9
expect_code 0 "$VMABAK" restore -q --force chain/3.vmab -d disk=target.raw
same_file target.raw disk.raw

# An increment whose index does not name all that it holds: the parent's data must not stand for it.
make_random old.raw 655360 5
expect_code 0 "$VMABAK" backup -q --uuid a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf -o old.vmab disk0=old.raw
compile - short.vmab <<'END'
format vmab
parent a0a1a2a3a4a5a6a7a8a9aaabacadaeaf
drive disk0 640K
extent
data disk0 9 random 9
extent
data disk0 7 fill 37
drop index0.entry1
END
expect_error 4 'the index' "$VMABAK" restore short.vmab -d disk0=short.raw
nothing_but bad.sums chain disk.raw good good.sums old.raw old.vmab short.vmab target.raw
