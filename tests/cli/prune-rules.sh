# prune keeps what a rule keeps, and what that needs, protected and doubtful archives; all else goes, with its sums.
. "$(dirname "$0")/lib.sh"

make_random web.raw 300000 1
mkdir d
# fill [OPTION]...: a backup each day of two weeks at noon, twice on the last, in chains of five.
fill()
{
	rm -rf d
	mkdir d
	for day in 01 02 03 04 05 06 07 08 09 10 11 12 13 14; do
		put web.raw "$(expr $day \* 20000)" "day $day"
		SOURCE_DATE_EPOCH=$(date -u -d "2026-01-$day 12:00" +%s) \
			expect_code 0 "$VMABAK" backup -q --to d --name web --full-every 5 root=web.raw
	done
}
# left DAY...: of these days an archive is there, and its sums, and nothing else but what was there.
left()
{
	lib_days=$(ls d | sed -n 's/^web-2026-01-\(..\)T120000Z\.vmab$/\1/p' | tr '\n' ' ')
	[ "$lib_days" = "${*}${*:+ }" ] || fail "left are $lib_days, not $*"
	[ "$(ls -A d | grep -c 'vmab\.sums$')" = $# ] || fail "sums: $(ls -A d)"
	[ ! -e d/.web.lock ] || fail 'the lock was left'
	for lib_day; do
		expect_code 0 "$VMABAK" restore -q --force d/web-2026-01-${lib_day}T120000Z.vmab -C back
	done
	same_file back/root.raw web.raw
}
export TZ=UTC

fill
expect_error 2 'removes nothing without a rule' "$VMABAK" prune d
expect_error 2 'removes nothing without a rule' "$VMABAK" prune d --keep-last 0 --keep-daily 0
expect_error 2 'called db' "$VMABAK" prune d --name db --keep-last 1
expect_code 1 "$VMABAK" prune nowhere --keep-last 1
expect_code 1 "$VMABAK" prune web.raw --keep-last 1
expect_code 0 "$VMABAK" prune d --keep-last 1 --dry-run
expect_text "$out" 'remove  2026-01-01 12:00:00 UTC' 'web-2026-01-14T120000Z.vmab (last)' 'web-2026-01-11T120000Z.vmab (needed)'
left 01 02 03 04 05 06 07 08 09 10 11 12 13 14
# A chain stays from its beginning to the last day that is wanted: the 4th, 11th and 14th, two Sundays and the last.
expect_code 0 "$VMABAK" prune d --json --keep-last 1 --keep-weekly 3
expect_json "$out" 'd["folder"] == "d" and not d["dry_run"]' \
	'[a["archive"][12:14] for a in d["machines"][0]["archives"] if a["kept"]] == "01 02 03 04 11 12 13 14".split()' \
	'[a["rules"] for a in d["machines"][0]["archives"] if a["rules"]] == [["weekly"], ["weekly"], ["last", "weekly"]]' \
	'[a["archive"][12:14] for a in d["machines"][0]["archives"] if a["needed"]] == "01 02 03 11 12 13".split()'
left 01 02 03 04 11 12 13 14
expect_code 0 "$VMABAK" prune d --keep-weekly 1
left 11 12 13 14
# All of these days by another clock: noon of the 13th is the 14th there.
TZ=EAST-13 expect_code 0 "$VMABAK" prune d --json --dry-run --keep-monthly 1 --keep-daily 1
expect_json "$out" '[a["rules"] for a in d["machines"][0]["archives"]] == [[], [], [], ["daily", "monthly"]]'

# Protected ones, and what they need.
fill
touch d/web-2026-01-07T120000Z.vmab.protected
expect_code 0 "$VMABAK" prune d -v --keep-last 1
expect_text "$out" 'web-2026-01-07T120000Z.vmab (protected)' 'web-2026-01-06T120000Z.vmab (needed)'
rm d/web-2026-01-07T120000Z.vmab.protected
left 06 07 11 12 13 14

# What stands on them under another name, or is another machine's, keeps them; files that do not belong stay.
fill
mv d/web-2026-01-03T120000Z.vmab d/moved
mv d/web-2026-01-08T120000Z.vmab d/db-2026-01-08T120000Z.vmab
rm d/web-2026-01-03T120000Z.vmab.sums d/web-2026-01-08T120000Z.vmab.sums
echo hello >d/README
mkdir d/web-2025-01-01T120000Z.vmab
ln -s README d/web-2025-01-02T120000Z.vma
expect_code 0 "$VMABAK" prune d --name web --keep-last 1
rmdir d/web-2025-01-01T120000Z.vmab
rm d/README d/web-2025-01-02T120000Z.vma
left 01 02 06 07 11 12 13 14
rm d/moved d/db-2026-01-08T120000Z.vmab
expect_code 0 "$VMABAK" prune d --name web --keep-last 1
left 11 12 13 14

# What is not whole counts for no rule, and is left alone, with what it needs: 3. Damage never makes a good one go. An
# archive whose head cannot be read may need all that are older.
fill
truncate -s -512 d/web-2026-01-14T120000Z.vmab
flip d/web-2026-01-10T120000Z.vmab 300
rm d/web-2026-01-01T120000Z.vmab d/web-2026-01-01T120000Z.vmab.sums
expect_code 3 "$VMABAK" prune d --keep-last 2
expect_text "$err" 'web-2026-01-14T120000Z.vmab: damaged' 'web-2026-01-10T120000Z.vmab: damaged' \
	'web-2026-01-05T120000Z.vmab: an archive that it needs is missing'
[ "$(ls d | sed -n 's/^web-2026-01-\(..\)T120000Z\.vmab$/\1/p' | tr '\n' ' ')" = '02 03 04 05 06 07 08 09 10 11 12 13 14 ' ] || fail "$(ls d)"

# A file of another name that may be what is left of an archive may need any of them; one that cannot be, does not.
for damage in 'flip d/mine 0' 'flip d/mine 300' 'truncate -s 600 d/mine.vmab; rm d/mine'; do
	fill
	cp d/web-2026-01-09T120000Z.vmab d/mine
	make_random d/mine.vmab 500
	eval "$damage"
	expect_code 3 "$VMABAK" prune d --keep-last 1
	expect_text "$err" 'd/mine' 'nothing is removed'
	rm -f d/mine d/mine.vmab
	left 01 02 03 04 05 06 07 08 09 10 11 12 13 14
done
fill
make_random d/mine 700000
expect_code 0 "$VMABAK" prune d --keep-last 1
rm d/mine
left 11 12 13 14

# Copies are kept or removed together, and count as one. An archive is whole if any copy of its parent is.
fill
mkdir copies
cp d/web-2026-01-13T120000Z.vmab copies
for day in 01 11 12; do
	cp d/web-2026-01-${day}T120000Z.vmab d/web-2026-01-${day}T120001Z.vmab
done
rm d/web-2026-01-11T120000Z.vmab.sums
truncate -s -512 d/web-2026-01-11T120000Z.vmab
cp d/web-2026-01-14T120000Z.vmab d/web-2026-01-14T120001Z.vmab
expect_code 4 "$VMABAK" list d --json
expect_json "$out" 'sum(a["state"] == "whole" for m in d["machines"] for a in m["archives"]) == 17 and sum(a["state"] == "damaged" for m in d["machines"] for a in m["archives"]) == 1'
expect_code 3 "$VMABAK" prune d --json --keep-last 2
[ "$(ls d/*.vmab | tr '\n' ' ')" = "$(printf 'd/web-2026-01-%sZ.vmab ' 11T120000 11T120001 12T120000 12T120001 13T120000 14T120000 14T120001)" ] || fail "$(ls d)"
expect_json "$out" 'sum(not a["kept"] for a in d["machines"][0]["archives"]) == 11'

# What killed backups left goes, too. Sums without an archive may be somebody's parent.
fill
cp d/web-2026-01-14T120000Z.vmab.sums d/web-2025-01-01T120000Z.vmab.sums
cp d/web-2026-01-14T120000Z.vmab.sums d/db-2025-01-01T120000Z.vmab.sums
touch d/.web-2026-01-01T120000Z.vmab.abcdef.part d/.web-2026-01-01T120000Z.vmab.sums.abcdef.part d/.web-2026.vmab.abcdef.part \
	d/.db-2026-01-01T120000Z.vmab.abcdef.part d/.web-2026-01-01T120000Z.vmab.abcdE9.part
expect_code 0 "$VMABAK" prune d --name web --keep-last 1
[ "$(ls -A d | grep -v 2026-01-1)" = ".db-2026-01-01T120000Z.vmab.abcdef.part
.web-2026-01-01T120000Z.vmab.abcdE9.part
.web-2026.vmab.abcdef.part
db-2025-01-01T120000Z.vmab.sums
web-2025-01-01T120000Z.vmab.sums" ] || fail "$(ls -A d)"

# Newest first, each with its sums before it, and each durably.
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	fill
	strace -f -qq -o "$TMPDIR/trace" -e trace=fsync,unlink,unlinkat "$VMABAK" prune -q d --keep-last 1
	sed -nE 's/^[0-9]+ +unlink(at)?\([^"]*"([^"]*)".*/\2/p; s/^[0-9]+ +fsync.*/fsync/p' "$TMPDIR/trace" >calls
	for day in 10 09 08 07 06 05 04 03 02 01; do
		printf 'web-2026-01-%sT120000Z.vmab.sums\nfsync\nweb-2026-01-%sT120000Z.vmab\nfsync\n' $day $day
	done >wanted
	echo d/.web.lock >>wanted
	same_file wanted calls
	# Heads are read once, however many machines there are.
	opened()
	{
		strace -f -qq -o "$TMPDIR/trace" -e trace=openat "$VMABAK" prune -q d --keep-last 20
		grep -c 'web-2026-01-14T120000Z.vmab", O_RDONLY' "$TMPDIR/trace"
	}
	alone=$(opened)
	for machine in a b x y; do
		SOURCE_DATE_EPOCH=1767225600 expect_code 0 "$VMABAK" backup -q --to d --name $machine root=web.raw
	done
	with_others=$(opened)
	[ "$with_others" = "$alone" ] || fail "opened $alone times alone, $with_others times among others"
	# One that cannot be made durable is a failure, and goes no further.
	fill
	expect_code 1 strace -f -qq -o /dev/null -e trace=fsync -e inject=fsync:error=EIO:when=4 "$VMABAK" prune -q d --keep-last 1
	expect_text "$err" 'syncing the folder'
	left 01 02 03 04 05 06 07 08 11 12 13 14
fi
