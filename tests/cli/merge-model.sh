# Chains of drives that are written, grown, shrunk, added and removed, merged in links of any number: every instant is the
# same from the merged archive, also for increments that build on it, and for the reader of the spec.
. "$(dirname "$0")/lib.sh"

cat >"$TMPDIR/change.py" <<'END'
"""change.py SEED ROUND: changes the drives of this folder."""
import os, random, sys

rng = random.Random(f"merge {sys.argv[1]}/{sys.argv[2]}")
for name in ("a.raw", "b.raw", "c.raw"):
    if name != "a.raw" and rng.random() < 0.2:
        if os.path.exists(name):
            os.unlink(name)
        else:
            with open(name, "wb") as drive:
                drive.write(rng.randbytes(rng.choice((1, 65536, 200000))))
    if not os.path.exists(name):
        continue
    size = os.path.getsize(name)
    if rng.random() < 0.4:
        size = max(1, size + rng.choice((-1, 1)) * rng.choice((1, 511, 65536, 300000, 9 << 20)))
        os.truncate(name, size)
    with open(name, "rb+") as drive:
        for _ in range(rng.randrange(6)):
            at = rng.randrange(size)
            n = min(rng.choice((1, 4096, 65536, 200000)), size - at)
            drive.seek(at)
            drive.write(rng.randbytes(n) if rng.random() < 0.6 else bytes(n))
END

seed=${VMABAK_SEED:-1}
last=7
make_random a.raw 3000001 "$seed"
truncate -s 20000000 a.raw
make_random b.raw 700000 2
mkdir chain
for n in $(seq 0 $last); do
	[ "$n" = 0 ] || "$PYTHON" "$TMPDIR/change.py" "$seed" "$n"
	mkdir "of$n"
	set --
	for drive in a b c; do
		[ ! -e $drive.raw ] || { cp --sparse=always $drive.raw "of$n/$drive.raw" && set -- "$@" $drive=$drive.raw; }
	done
	[ "$n" = 0 ] || set -- "$@" --parent "chain/$((n - 1)).vmab"
	expect_code 0 "$VMABAK" backup -q -o "chain/$n.vmab" "$@"
done

# is_instant N ARCHIVE [PARENT]...
is_instant()
{
	n=$1
	shift
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$@" -C back
	diff -r "of$n" back >"$TMPDIR/differ" || fail "instant $n, of $*: $(cat "$TMPDIR/differ")"
}

# Each instant becomes full; random runs of links become one, and what builds on them finds them by the uuid alone.
mkdir full
for n in $(seq 0 $last); do
	expect_code 0 "$VMABAK" merge -q "chain/$n.vmab" -o "full/$n.vmab"
	is_instant "$n" "full/$n.vmab"
	rm -f "full/$n.vmab.sums"
	expect_code 0 "$VMABAK" verify -q "full/$n.vmab"
done
"$PYTHON" -c 'import random, sys
rng, last = random.Random("runs " + sys.argv[1]), int(sys.argv[2])
for _ in range(4):
    a, b = sorted(rng.sample(range(last + 1), 2))
    print(a, b)' "$seed" $last >runs
while read -r oldest newest; do
	rm -rf other
	cp -r chain other
	set --
	for n in $(seq "$newest" -1 "$oldest"); do
		set -- "$@" "other/$n.vmab"
	done
	expect_code 0 "$VMABAK" merge -q "$@" -o merged.vmab
	expect_code 0 "$VMABAK" verify -q merged.vmab
	rm "$@"
	mv merged.vmab other
	for n in $(seq "$((newest + 1))" $last); do
		is_instant "$n" "other/$n.vmab"
	done
	is_instant "$newest" other/merged.vmab
	# And all of them once more: a chain with merged links is merged.
	[ "$newest" -lt $last ] || mv other/merged.vmab "other/$last.vmab"
	expect_code 0 "$VMABAK" merge -q other/$last.vmab --compress none --threads 3 -o again.vmab
	is_instant $last again.vmab
	rm again.vmab
done <runs

if "$PYTHON" -c 'import xxhash, zstandard' 2>/dev/null; then
	expect_code 0 "$VMABAK" merge -q chain/5.vmab chain/4.vmab chain/3.vmab -o merged.vmab
	expect_code 0 "$PYTHON" "$SRC/spec/restore.py" merged.vmab chain/2.vmab chain/1.vmab chain/0.vmab read
	diff -r of5 read || fail "spec/restore.py, an increment"
	expect_code 0 "$PYTHON" "$SRC/spec/restore.py" full/$last.vmab all
	diff -r of$last all || fail "spec/restore.py, a full archive"
fi
