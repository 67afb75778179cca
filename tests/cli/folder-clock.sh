# Names come one after the other, whatever the clock says; a full archive is due by the time in the archives.
. "$(dirname "$0")/lib.sh"

make_random web.raw 300000 1
mkdir d
# at TIME CODE [OPTION]...: a backup at that time.
at()
{
	time=$(date -u -d "$1" +%s) code=$2
	shift 2
	SOURCE_DATE_EPOCH=$time expect_code "$code" "$VMABAK" backup --json --to d --name web "$@" root=web.raw
	archive=$("$PYTHON" -c 'import json, sys; d = json.load(open(sys.argv[1])); print(d["archive"][2:], d["parent_uuid"] and "+")' "$out")
}
expect_archive()
{
	[ "$archive" = "$*" ] || fail "$archive, not $*"
}
at '2026-01-01 01:00:00' 0
expect_archive web-2026-01-01T010000Z.vmab None
# Twice in a second, and a clock that was set back by a minute.
at '2026-01-01 01:00:00' 0
expect_archive web-2026-01-01T010001Z.vmab +
at '2026-01-01 00:59:00' 0
expect_archive web-2026-01-01T010002Z.vmab +
at '2026-01-02 01:00:00' 0
expect_archive web-2026-01-02T010000Z.vmab +
# By a day: said.
at '2026-01-01 01:00:00' 3
expect_archive web-2026-01-02T010001Z.vmab +
expect_json "$out" '"the clock is wrong" in d["warnings"][0]'
expect_code 0 "$VMABAK" list --json d
expect_json "$out" '[a["created"] for a in d["machines"][0]["archives"]] == ["2026-01-01T01:00:00Z", "2026-01-01T01:00:00Z",
"2026-01-01T00:59:00Z", "2026-01-02T01:00:00Z", "2026-01-01T01:00:00Z"]'
for archive in d/*.vmab; do
	expect_code 0 "$VMABAK" restore -q --force "$archive" -C back
	same_file back/root.raw web.raw
done

# Full ones by time. A timer that is a little early does not put it off by a day.
rm d/*
at '2026-01-01 01:15:30' 0 --full-every 1w
at '2026-01-07 01:15:00' 0 --full-every 1w
expect_archive web-2026-01-07T011500Z.vmab +
at '2026-01-08 00:10:00' 0 --full-every 1w
expect_archive web-2026-01-08T001000Z.vmab +
at '2026-01-08 01:15:00' 0 --full-every 1w
expect_archive web-2026-01-08T011500Z.vmab None
at '2026-01-14 01:15:00' 0 --full-every 7d
expect_archive web-2026-01-14T011500Z.vmab +
at '2026-01-15 01:15:00' 0 --full-every 7d
expect_archive web-2026-01-15T011500Z.vmab None
at '2026-01-15 01:45:00' 0 --full-every 1h
expect_archive web-2026-01-15T014500Z.vmab +
at '2026-01-15 02:00:00' 0 --full-every 1h
expect_archive web-2026-01-15T020000Z.vmab None
# A full archive of the future is of no known age.
at '2036-01-01 01:00:00' 0 --full-every 1h
expect_archive web-2036-01-01T010000Z.vmab None
at '2026-01-16 01:00:00' 3 --full-every 1w
expect_archive web-2036-01-01T010001Z.vmab None
at '2026-01-17 01:00:00' 3 --full-every 1w
expect_archive web-2036-01-01T010002Z.vmab +

# After the last name there is no other.
cp d/web-2036-01-01T010001Z.vmab d/web-9999-12-31T235959Z.vmab
expect_error 2 'no later name' "$VMABAK" backup --to d --name web root=web.raw
[ ! -e d/.web.lock ] || fail 'the lock was left'
