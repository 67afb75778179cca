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
expect_code 0 "$VMABAK" sums -q --force 1.vmab
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

# Since when: the full archive's circle is closed by the arcs of five increments, or by one that was read in full.
proved_since()
{
	expect_code 0 "$VMABAK" verify --chain --quick --json "$1"
	expect_json "$out" "d['chain']['proved_since'] == '$("$VMABAK" list --json "$2" | "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["created"])')'"
}
proved_since 2.vmab 0.vmab
proved_since 4.vmab 0.vmab
proved_since 6.vmab 5.vmab
for n in 7 8 9 10 11 12; do
	SOURCE_DATE_EPOCH=$((2000000000 + n)) expect_code 0 next $n -q
done
proved_since 9.vmab 5.vmab
proved_since 10.vmab 6.vmab
proved_since 12.vmab 8.vmab
TZ=XYZ-1 expect_code 0 "$VMABAK" verify --chain --quick 12.vmab
expect_text "$out" ', proved since 2033-05-18 04:33:28 XYZ'
# Merged archives keep what was proved, and their children go on.
mkdir merged
expect_code 0 "$VMABAK" merge -q 10.vmab 9.vmab 8.vmab -o merged/10.vmab
rm 8.vmab 9.vmab
mv merged/10.vmab .
"$VMABAK" list --json 10.vmab >listed
expect_json listed 'd["drives"][0]["token"] == "10"' 'd["drives"][0]["proof"]["audit_from"] == 2 * 858993460' \
	'd["drives"][0]["proof"]["audit_points"] == 3 * 858993460'
TZ=XYZ-1 expect_code 0 "$VMABAK" verify --chain --quick 12.vmab
expect_text "$out" 'complete in 11 archives' ', proved since 2033-05-18 04:33:28 XYZ'
parent=12.vmab
expect_code 0 next 13 -q
parent=

# A lie, planted before each of five increments in turn: found within five. All of them stand on one parent.
mv root.raw at13.raw
for start in 14 15 16 17 18; do
	cp at13.raw root.raw
	for n in $(seq 14 22); do
		[ $n != $start ] || put root.raw $(((start * 97 % n_clusters) * 65536 + 20000)) lie
		code=0
		next $n --force >"$out" 2>"$err" || code=$?
		[ $code = 0 ] || break
	done
	[ "$code" = 3 ] || fail "start $start: exit code $code: $(cat "$err")"
	[ $n -ge $start ] && [ $n -lt $((start + 5)) ] || fail "start $start: found by increment $n"
	expect_found $n.vmab audit samples
	same_instant $n.vmab root
done

# --strict: no archive.
mv at13.raw root.raw
put root.raw $((600 * 65536)) lie
list none $size 13 14
expect_error 4 'its change list is wrong' "$VMABAK" backup --strict --audit 1/1 --parent 13.vmab --changed root=none -o strict.vmab root=root.raw
[ ! -e strict.vmab ] || fail "there is an archive"
expect_code 3 "$VMABAK" backup --json --audit 1/1 --parent 13.vmab --changed root=none -o wrong.vmab root=root.raw
expect_json "$out" 'd["drives"][0]["proof"]["list"] == "wrong"' 'len(d["warnings"]) == 1'
