# Increments of drives that are written, zeroed, grown, shrunk, added and removed, each with the archive before it or its
# sums file as parent: every instant restores byte for byte, in the end too, and diff finds what cmp finds.
. "$(dirname "$0")/lib.sh"

cat >"$TMPDIR/change.py" <<'END'
"""change.py SEED ROUND: changes the drives of this folder."""
import os, random, sys

rng = random.Random(f"{sys.argv[1]}/{sys.argv[2]}")
drives = [name for name in ("a.raw", "b.raw", "c.raw") if os.path.exists(name)]
for name in drives:
    size = os.path.getsize(name)
    if rng.random() < 0.4:
        size = max(1, size + rng.choice((-1, 1)) * rng.choice((1, 511, 65536, 300000, 20 << 20)))
        os.truncate(name, size)
    with open(name, "rb+") as drive:
        for _ in range(rng.randrange(6)):
            at = rng.randrange(size)
            n = min(rng.choice((1, 4096, 65536, 200000)), size - at)
            drive.seek(at)
            drive.write(rng.randbytes(n) if rng.random() < 0.6 else bytes(n))
if sys.argv[2] == "3":
    with open("c.raw", "wb") as drive:
        drive.write(rng.randbytes(100000))
if sys.argv[2] == "6" and os.path.exists("b.raw"):
    os.unlink("b.raw")
END

# save N: the instant N, and a copy of its drives.
save()
{
	mkdir "of$1"
	set -- "$1"
	for drive in a b c; do
		[ ! -e $drive.raw ] || { cp --sparse=always $drive.raw "of$1/$drive.raw" && set -- "$@" $drive=$drive.raw; }
	done
	n=$1
	shift
	expect_code 0 "$VMABAK" backup -q ${parent:+--parent "$parent"} -o "$n.vmab" "$@"
}

# check N: what instant N restores to; every other time over what is there.
check()
{
	[ $(($1 % 2)) = 1 ] || rm -rf back
	for drive in a b c; do
		[ -e "of$1/$drive.raw" ] || rm -f back/$drive.raw
	done
	expect_code 0 "$VMABAK" restore -q --force "$1.vmab" -C back
	diff -r "of$1" back >"$TMPDIR/differ" || fail "instant $1: $(cat "$TMPDIR/differ")"
}

make_random a.raw 3000001 1
truncate -s 40000000 a.raw
make_random b.raw 700000 2
parent=
save 0
seed=${VMABAK_SEED:-1}
for n in 1 2 3 4 5 6 7 8; do
	"$PYTHON" "$TMPDIR/change.py" "$seed" $n
	parent=$((n - 1)).vmab
	# The parent is known by a sums file that is named, by its own archives, by the sums beside it.
	case $((n % 3)) in
	0) parent=$parent.sums ;;
	1) rm -f $parent.sums ;;
	esac
	save $n
	expect_code 0 "$VMABAK" sums -q $n.vmab -o made.sums
	same_file $n.vmab.sums made.sums
	rm made.sums
	check $n
	[ "$("$VMABAK" list --json $n.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["parent_uuid"])')" = \
		"$("$VMABAK" list --json $((n - 1)).vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')" ] ||
		fail "instant $n: another parent"
done
for n in 0 1 2 3 4 5 6 7 8; do
	check $n
done

# The sums of an instant are the same from its chain and from a full archive of it; and diff says what cmp does.
set --
for drive in of5/*.raw; do set -- "$@" "$(basename "$drive" .raw)=$drive"; done
expect_code 0 "$VMABAK" backup -q -o full.vmab "$@"
[ -e 5.vmab.sums ] || fail "no sums"
expect_code 0 "$VMABAK" diff 5.vmab.sums full.vmab
expect_code 4 "$VMABAK" diff --json 4.vmab 5.vmab
cp "$out" found.json
"$PYTHON" - <<'END' || fail "diff of 4 and 5"
import json

CLUSTER = 65536
for drive in json.load(open("found.json"))["drives"]:
    old, new = (open(f"of{n}/{drive['name']}.raw", "rb").read() for n in (4, 5))
    end = max(len(old), len(new))
    first = min(len(old), len(new))
    wanted = set()
    for at in range(0, end, CLUSTER):
        a, b = (x[at:at + CLUSTER].ljust(CLUSTER, b"\0") for x in (old, new))
        if a != b or at + CLUSTER > first and at < end and len(old) != len(new):
            wanted.add(at // CLUSTER)
    got = set()
    for one in drive["ranges"]:
        got.update(range(one["offset"] // CLUSTER, -(-(one["offset"] + one["length"]) // CLUSTER)))
    assert got == wanted, (drive["name"], sorted(got ^ wanted)[:5])
END
