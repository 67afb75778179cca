# What cannot be a parent is said, with exit code 3: a newer archive that is damaged is passed over, a chain that lacks
# something begins anew. An archive under a wrong name makes no wrong backup.
. "$(dirname "$0")/lib.sh"

make_random web.raw 1000000 1
fresh()
{
	rm -rf d
	mkdir d
	for n in 1 2 3; do
		put web.raw $((n * 100000)) "change $n"
		expect_code 0 "$VMABAK" backup -q --to d --name web root=web.raw
	done
	# shellcheck disable=SC2046 # no blanks
	set -- $(ls d/*.vmab)
	first=$1 second=$2 third=$3
}
# back_up CODE: the parent is $1 of the archives, or none; what is new restores.
back_up()
{
	expect_code "$1" "$VMABAK" backup -q --to d --name web root=web.raw
	cp "$err" said
	newest=$(ls d/*.vmab | tail -n 1)
	[ "$("$VMABAK" list --json "$newest" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["parent_uuid"])')" = \
		"$([ "$2" = None ] && echo None ||
			"$VMABAK" list --json "$2" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')" ] ||
		fail "not the parent $2"
	expect_code 0 "$VMABAK" restore -q --force "$newest" -C back
	same_file back/root.raw web.raw
}

fresh
truncate -s -512 "$third"
back_up 3 "$second"
expect_text said "$third cannot be a parent"
# The next night has a parent that is whole.
back_up 0 "$newest"
expect_code 4 "$VMABAK" list d
expect_text "$out" 'DAMAGED'
expect_text "$err" "$third"
rm "$third" "$third.sums"
expect_code 0 "$VMABAK" list d

fresh
: >"$third"
head -c 3000 /dev/zero >"$second"
back_up 3 "$first"
# Nobody knows of when they are, nor what they stand on.
expect_code 4 "$VMABAK" list d
[ "$(grep -c '^  unknown  *unknown .*  DAMAGED$' "$out")" = 2 ] || fail "$(cat "$out")"
expect_text "$out" 'machine web: 4 archives in 1 chain,'
expect_no_text "$out" 1970
expect_code 4 "$VMABAK" list --json d
expect_json "$out" '[a["created"] is None and a["uuid"] is None for a in d["machines"][0]["archives"]] == [False, True, True, False]'
expect_code 3 "$VMABAK" prune --dry-run --keep-last 1 d
[ "$(grep -c '^keep    unknown .*(not whole)$' "$out")" = 2 ] || fail "$(cat "$out")"
expect_code 3 "$VMABAK" prune --json --dry-run --keep-last 1 d
expect_json "$out" '[a["created"] is None for a in d["machines"][0]["archives"]] == [False, True, True, False]'

fresh
rm "$second"
back_up 3 None
expect_text said 'a full backup is made' "$third" 'its parent'
expect_code 4 "$VMABAK" list --json d
expect_json "$out" '[a["state"] for a in d["machines"][0]["archives"]] == ["whole", "lacks_parent", "whole"]'
# The new chain goes on.
back_up 0 "$newest"

fresh
truncate -s -512 "$first"
back_up 3 None
expect_text said 'a full backup is made' "$first"

# Damage inside is found when the sums have to be made again.
fresh
flip "$first" 200000
expect_code 0 "$VMABAK" backup -q --to d --name web root=web.raw
rm d/*.sums
back_up 3 None
expect_text said 'the parent cannot be used' "$first"

# An archive of another machine under this one's name, and one of other drives.
fresh
make_random db.raw 1000000 2
expect_code 0 "$VMABAK" backup -q -o "d/web-2040-01-01T000000Z.vmab" root=db.raw
back_up 3 d/web-2040-01-01T000000Z.vmab
expect_text said 'clock is wrong'
expect_code 0 "$VMABAK" backup -q -o "d/web-2041-01-01T000000Z.vmab" other=db.raw
back_up 3 d/web-2041-01-01T000000Z.vmab

# Names that are links, pipes and folders.
fresh
ln -s "$PWD/db.raw" d/web-2042-01-01T000000Z.vmab
back_up 3 "$third"
for make in mkdir mkfifo; do
	fresh
	$make d/web-2043-01-01T000000Z.vmab
	expect_code 3 timeout 200 "$VMABAK" backup --json --to d --name web root=web.raw
	expect_json "$out" 'd["data_clusters"] == 0' '"is no plain file" in d["warnings"][1]'
	expect_code 0 timeout 200 "$VMABAK" list d
	rm -r d/web-2043-01-01T000000Z.vmab
done
