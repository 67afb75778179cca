# The rolling audit: what was proved is said and recorded, and goes on from parent to child, by sums files too; a cluster that
# no list names is found within k increments, wherever the circle stands when it is written.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"

n_clusters=640
size=$((n_clusters * 65536))
make_random root.raw $size 1
expect_code 0 "$VMABAK" backup -q --token root=0 -o 0.vmab root=root.raw

# next N [OPTION]...: the increment N, by a list of one cluster.
next()
{
	n=$1
	shift
	put root.raw $((n * 65536)) "instant $n"
	list changed $size $((n - 1)) $n $((n * 65536)) 10
	"$VMABAK" backup --audit "${audit:-1/5}" --parent "${parent:-$((n - 1)).vmab}" --changed root=changed -o $n.vmab "$@" root=root.raw
}

expect_code 0 next 1 --json
expect_json "$out" '(d["drives"][0]["proof"] == {"list": "right", "listed_clusters": 1, "unchanged_clusters": 639,
	"right_clusters": d["drives"][0]["proof"]["right_clusters"], "wrong_clusters": 0, "audit_slices": 5, "audit_from": 0,
	"audit_points": 858993460})' '256 + 112 <= d["drives"][0]["proof"]["right_clusters"] <= 258 + 144' \
	'd["data_clusters"] == 1'
"$VMABAK" list --json 1.vmab >listed
expect_json listed 'd["drives"][0]["proof"]["list"] == "right"' 'd["drives"][0]["proof"]["listed_clusters"] == 1' \
	'd["drives"][0]["proof"]["audit_points"] == 858993460'
expect_code 0 "$VMABAK" sums -q 1.vmab
parent=1.vmab.sums
expect_code 0 next 2
parent=
expect_text "$err" 'clusters: 1 listed, 639 taken as unchanged, ' ' of them read and right'
"$VMABAK" list --json 2.vmab >listed
expect_json listed 'd["drives"][0]["proof"]["audit_from"] == 858993460'
same_instant 2.vmab root

# Without an audit the circle stays where it is; other slices go on from there; a full comparison begins anew.
audit=0
expect_code 0 next 3 -q
"$VMABAK" list --json 3.vmab >listed
expect_json listed 'd["drives"][0]["proof"]["audit_from"] == 2 * 858993460' 'd["drives"][0]["proof"]["audit_points"] == 0' \
	'd["drives"][0]["proof"]["right_clusters"] in (256, 257, 258)'
audit=1/2
expect_code 0 next 4 -q
audit=
"$VMABAK" list --json 4.vmab >listed
expect_json listed 'd["drives"][0]["proof"]["audit_from"] == 2 * 858993460' 'd["drives"][0]["proof"]["audit_points"] == 1 << 31'
expect_code 0 "$VMABAK" backup -q --parent 4.vmab --token root=5 -o 5.vmab root=root.raw
"$VMABAK" list --json 5.vmab >listed
expect_json listed 'd["drives"][0]["proof"] is None'
expect_code 0 next 6 -q
"$VMABAK" list --json 6.vmab >listed
expect_json listed 'd["drives"][0]["proof"]["audit_from"] == 0'
same_instant 6.vmab root

# A lie, planted before each of five increments in turn: found within five.
for start in 7 8 9 10 11; do
	at=$(((start * 97 % n_clusters) * 65536 + 20000))
	saved=$(dd if=root.raw bs=1 skip=$at count=3 status=none | od -An -tx1)
	found=
	for n in $(seq 7 16); do
		[ $n != $start ] || put root.raw $at lie
		code=0
		next $n --force >"$out" 2>"$err" || code=$?
		[ $code = 0 ] || { found=$n && break; }
	done
	[ "$code" = 3 ] || fail "start $start: exit code $code: $(cat "$err")"
	[ "$found" -lt $((start + 5)) ] || fail "start $start: found by increment $found only"
	expect_found "$found.vmab" audit samples neighbours
	same_instant "$found.vmab" root
	# shellcheck disable=SC2086 # bytes
	printf "$(printf '\\x%s' $saved)" | dd of=root.raw bs=1 seek=$at conv=notrunc status=none
done

# --strict: no archive.
put root.raw $((600 * 65536)) lie
list none $size 6 7
expect_error 4 'its change list is wrong' "$VMABAK" backup --strict --audit 1/1 --parent 6.vmab --changed root=none -o strict.vmab root=root.raw
[ ! -e strict.vmab ] || fail "there is an archive"
expect_code 3 "$VMABAK" backup --json --audit 1/1 --parent 6.vmab --changed root=none -o wrong.vmab root=root.raw
expect_json "$out" 'd["drives"][0]["proof"]["list"] == "wrong"' 'len(d["warnings"]) == 1'
