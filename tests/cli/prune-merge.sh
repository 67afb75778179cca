# prune --merge: what no rule keeps is merged into the oldest archive that needs it, which keeps its name, its uuid and
# its instant; every instant that is kept restores, and the next backup stands on the newest as before.
. "$(dirname "$0")/lib.sh"

export TZ=UTC
# fill: a backup at noon of each of eight days, all increments but the first; a copy of each state.
fill()
{
	rm -rf d states
	mkdir d states
	make_random web.raw 400000 1
	for day in 01 02 03 04 05 06 07 08; do
		put web.raw "$(expr $day \* 30000)" "day $day"
		[ $day != 05 ] || truncate -s 500000 web.raw
		SOURCE_DATE_EPOCH=$(date -u -d "2026-01-$day 12:00" +%s) \
			expect_code 0 "$VMABAK" backup -q --to d --name web --full-every 0 root=web.raw
		cp web.raw states/$day
	done
}
# left DAY[f]...: these are there, those with an f are full, and all restore and verify.
left()
{
	expect_code 0 "$VMABAK" list --json d
	"$PYTHON" - "$out" "$@" <<'END' || fail 'see above'
import json, sys
found = [one["archive"][12:14] + ("f" if one["parent_uuid"] is None else "")
         for one in json.load(open(sys.argv[1]))["machines"][0]["archives"]]
sys.exit(None if found == sys.argv[2:] else f"{found}, not {sys.argv[2:]}")
END
	for day; do
		expect_code 0 "$VMABAK" verify -q --chain d/web-2026-01-${day%f}T120000Z.vmab
		expect_code 0 "$VMABAK" restore -q --force d/web-2026-01-${day%f}T120000Z.vmab -C back
		same_file back/root.raw states/${day%f}
	done
	[ -z "$(ls -A d | grep '^\.')" ] || fail "left: $(ls -A d)"
}

mkdir none
expect_code 0 "$VMABAK" list none
[ "$(cat "$out")" = 'none: no archives' ] || fail "$(cat "$out")"
expect_code 0 "$VMABAK" prune none --keep-last 1
[ "$(cat "$err")" = 'none: no archives' ] || fail "$(cat "$err")"
fill
expect_code 0 "$VMABAK" prune d --keep-last 3
expect_text "$err" 'web: 8 kept, 0 removed, 0 B (5 more could go with --merge)'
expect_code 0 "$VMABAK" prune d --keep-last 8
expect_no_text "$err" merge
expect_code 0 "$VMABAK" prune d --keep-last 3 --merge --dry-run
expect_text "$out" 'merge   2026-01-01' 'merge   2026-01-05' 'keep    2026-01-06'
cp "$err" "$TMPDIR/said"
left 01f 02 03 04 05 06 07 08
uuid=$("$VMABAK" list --json d/web-2026-01-06T120000Z.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
expect_text "$TMPDIR/said" 'web: 3 kept, 5 to be merged into them'
expect_code 0 "$VMABAK" prune d --keep-last 3 --merge
expect_text "$err" 'web: 3 kept, 5 merged into them'
expect_no_text "$err" removed
left 06f 07 08
expect_code 0 "$VMABAK" list --json d/web-2026-01-06T120000Z.vmab
expect_json "$out" "d['uuid'] == '$uuid'" 'd["created"] == "2026-01-06T12:00:00Z"'
# Sums are those of the archives as they are now.
for day in 06 07 08; do
	expect_code 0 "$VMABAK" sums -q d/web-2026-01-${day}T120000Z.vmab -o made.sums
	same_file made.sums d/web-2026-01-${day}T120000Z.vmab.sums
	rm made.sums
done
# To the newest alone, and on from there.
expect_code 0 "$VMABAK" prune d --keep-last 1 --merge
left 08f
expect_code 0 "$VMABAK" backup --json --to d --name web --full-every 0 root=web.raw
expect_json "$out" 'd["parent_uuid"] is not None' 'd["data_clusters"] == 0'
# Nothing more to do is nothing done.
before=$(stat -c %i d/web-2026-01-08T120000Z.vmab)
expect_code 0 "$VMABAK" prune d --keep-last 2 --merge
[ "$(stat -c %i d/web-2026-01-08T120000Z.vmab)" = "$before" ] || fail 'written again'

# In the middle of a chain: Sunday the 4th, and the last two.
fill
expect_code 0 "$VMABAK" prune d --keep-last 2 --keep-weekly 2 --merge --json
expect_json "$out" '[a["archive"][12:14] for a in d["machines"][0]["archives"] if a["merged"]] == ["01", "02", "03", "05", "06"]'
left 04f 07 08

# A protected archive is not written again, and keeps what it needs; so does one of another name.
fill
touch d/web-2026-01-03T120000Z.vmab.protected
expect_code 0 "$VMABAK" prune d --keep-last 1 --merge
rm d/web-2026-01-03T120000Z.vmab.protected
left 01f 02 03 08
fill
mv d/web-2026-01-05T120000Z.vmab d/mine
rm d/web-2026-01-05T120000Z.vmab.sums
expect_code 0 "$VMABAK" prune d --name web --keep-last 1 --merge
rm d/web-2026-01-08T120000Z.vmab*
expect_code 0 "$VMABAK" restore -q --force d/mine -C back
same_file back/root.raw states/05

# What is damaged inside stops it before anything is removed.
fill
flip d/web-2026-01-01T120000Z.vmab 200000
expect_code 4 "$VMABAK" prune d --keep-last 3 --merge
expect_text "$err" web-2026-01-01T120000Z.vmab
[ "$(ls d/*.vmab | wc -l)" = 8 ] || fail "$(ls -A d)"
[ -z "$(ls -A d | grep '^\.')" ] || fail "left: $(ls -A d)"

# Many machines in one run: what confines the process does not add up.
rm -r d
mkdir d
head -c 70000 web.raw >small.raw
for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do
	expect_code 0 "$VMABAK" backup -q --no-sync --to d --name m$n root=small.raw
	expect_code 0 "$VMABAK" backup -q --no-sync --to d --name m$n root=small.raw
done
expect_code 0 "$VMABAK" prune -q d --keep-last 1 --merge
expect_code 0 "$VMABAK" list --json d
expect_json "$out" '[[a["parent_uuid"] for a in m["archives"]] for m in d["machines"]] == [[None]] * 17'

# A chain that does not fit together, of an archive that another one of the same uuid has replaced, and which restores refuse:
# what no archive holds is not left to the parent by merging, and nothing is removed.
rm -rf d
mkdir d
make_random large.raw 1000000 5
head -c 100000 large.raw >small.raw
of_day()
{
	name=d/web-2026-01-$1T120000Z.vmab
	shift
	expect_code 0 "$VMABAK" backup -q --force -o $name "$@"
}
uuid=a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf
of_day 01 root=large.raw
of_day 02 --uuid $uuid root=large.raw
put large.raw 200000 x
of_day 03 --parent d/web-2026-01-02T120000Z.vmab root=large.raw
of_day 02 --uuid $uuid --parent d/web-2026-01-01T120000Z.vmab root=small.raw
touch d/web-2026-01-01T120000Z.vmab.protected
before=$(cat d/*.vmab | cksum)
expect_error 4 'in no archive of the chain' "$VMABAK" prune d --keep-last 1 --merge
[ "$(cat d/*.vmab | cksum)" = "$before" ] || fail "changed: $(ls -l d)"
