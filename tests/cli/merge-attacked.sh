# Circles, archives that are named twice or of another machine, forged uuids, drives that do not fit: one line, nothing left.
. "$(dirname "$0")/lib.sh"

need_python xxhash zstandard
make_random disk.raw 1000000 1
A=a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf
B=b0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf
expect_code 0 "$VMABAK" backup -q --uuid $A -o a.vmab disk0=disk.raw
expect_code 0 "$VMABAK" backup -q -o foreign.vmab disk0=disk.raw
put disk.raw 200000 x
expect_code 0 "$VMABAK" backup -q --uuid $B --parent a.vmab -o b.vmab disk0=disk.raw
cp b.vmab copy.vmab
refused()
{
	rm -f out.vmab
	expect_error "$@" -o out.vmab
	[ ! -e out.vmab ] || fail "left an archive"
}
refused 2 'are the same archive' "$VMABAK" merge b.vmab b.vmab a.vmab
refused 2 'are the same archive' "$VMABAK" merge b.vmab a.vmab copy.vmab
refused 2 'is no parent of b.vmab' "$VMABAK" merge b.vmab foreign.vmab
refused 2 'is no parent of a.vmab' "$VMABAK" merge a.vmab b.vmab
rm copy.vmab
mkdir alone
cp b.vmab alone
refused 1 "its parent $A is not in folder alone" "$VMABAK" merge alone/b.vmab
refused 1 'no-such.vmab' "$VMABAK" merge b.vmab no-such.vmab
expect_code 0 "$VMABAK" convert -q foreign.vmab -o foreign.vma
refused 2 'VMA' "$VMABAK" merge foreign.vma
refused 1 'is a sums file, not an archive' sh -c '"$VMABAK" sums -q a.vmab -o a.sums; exec "$VMABAK" merge b.vmab a.sums "$@"' sh

# Circles: of one, of two.
compile - self.vmab <<END
format vmab
uuid $(echo $A | tr -d -)
parent $(echo $A | tr -d -)
drive disk0 640K
extent
data disk0 9 random 9
END
refused 4 'circle' "$VMABAK" merge self.vmab

# A parent whose drive was larger or has data where the newest has no more room, under a forged uuid.
mkdir forged
head -c 100000 disk.raw >small.raw
expect_code 0 "$VMABAK" backup -q --uuid $A -o forged/a.vmab disk0=small.raw
cp b.vmab forged
refused 4 'in no archive of the chain' "$VMABAK" merge forged/b.vmab
expect_code 0 "$VMABAK" backup -q --uuid $A -o forged/old.vmab disk0=small.raw
expect_code 0 "$VMABAK" backup -q --parent forged/old.vmab -o forged/c.vmab disk0=small.raw
head -c 131072 disk.raw >large.raw
rm forged/old.vmab
expect_code 0 "$VMABAK" backup -q --force --uuid $A -o forged/a.vmab disk0=large.raw
refused 4 'past the end that the drive has' "$VMABAK" merge forged/c.vmab
# The same between increments, where the oldest one's parent must not shine through.
expect_code 0 "$VMABAK" backup -q --force --uuid $A --parent foreign.vmab -o forged/a.vmab disk0=small.raw
refused 4 'in no archive of the chain' "$VMABAK" merge forged/b.vmab forged/a.vmab

# Damage: of what is copied, and of what is decoded.
for at in 700 5000 -1; do
	cp a.vmab forged/a.vmab
	flip forged/a.vmab $at
	refused 4 'forged/a.vmab: damaged at byte' "$VMABAK" merge forged/b.vmab
done
