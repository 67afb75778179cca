# What comes while a prune is under way counts: what another run needs stays, however the new archive is called, and so does
# what was protected while it merged.
. "$(dirname "$0")/lib.sh"

export TZ=UTC
# fill: three increments, and the state of each.
fill()
{
	rm -rf d states
	mkdir d states
	make_random web.raw 200000 1
	for day in 01 02 03; do
		put web.raw "$(expr $day \* 30000)" "day $day"
		SOURCE_DATE_EPOCH=$(date -u -d "2026-01-$day 12:00" +%s) \
			expect_code 0 "$VMABAK" backup -q --to d --name web --full-every 0 root=web.raw
		cp web.raw states/$day
	done
}
day()
{
	echo d/web-2026-01-$1T120000Z.vmab
}
days_left()
{
	lib_days=$(ls d | sed -n 's/^web-2026-01-\(..\)T120000Z\.vmab$/\1/p' | tr '\n' ' ')
	[ "$lib_days" = "$* " ] || fail "left are $lib_days, not $*"
}

# An increment that is being written under another name: its parent, or the sums of that, are locked.
mkfifo data
for parent in "$(day 02)" "$(day 02).sums"; do
	for merge in '' --merge; do
		fill
			in_background sh -c 'exec "$VMABAK" backup -q --parent "$1" --no-sums --format vmab -o d/mine root=-,size=200000 <data' x "$parent"
		slow=$pid
		exec 5>data
		head -c 100000 states/03 >&5
		wait_until has_part d 1
		# shellcheck disable=SC2086 # none or one
		expect_code 0 "$VMABAK" prune d -v --keep-last 1 $merge
		expect_text "$out" 'web-2026-01-02T120000Z.vmab (in use)' 'web-2026-01-01T120000Z.vmab (needed)'
		days_left 01 02 03
		tail -c +100001 states/03 >&5
		exec 5>&-
		ended_with 0 $slow
		expect_code 0 "$VMABAK" restore -q --force d/mine -C back
		same_file back/root.raw states/03
		# It is there now.
		expect_code 0 "$VMABAK" prune d -v --keep-last 1
		days_left 01 02 03
		rm d/mine
		expect_code 0 "$VMABAK" prune d --json --keep-last 1 --merge
		expect_json "$out" 'all(not a["in_use"] for a in d["machines"][0]["archives"])'
		days_left 03
	done
done

# An archive that is read stays with what it needs.
fill
in_background "$VMABAK" restore -q --rate 2K "$(day 02)" -C slow
wait_until has_part slow 0
expect_code 0 "$VMABAK" prune d --keep-last 1
days_left 01 02 03
kill -0 $pid || fail 'the slow one has ended: nothing was tested'
kill -9 $pid
wait $pid || true
expect_code 0 "$VMABAK" prune d --keep-last 1 --merge
days_left 03

# Protected while it merged: what would have been merged away, or what it would have been merged into.
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	for marked in 02 03; do
		fill
		in_background strace -f -qq -o "$TMPDIR/trace" -e trace=fchmod -e inject=fchmod:signal=STOP:when=1 \
			"$VMABAK" prune d -v --keep-last 1 --merge
		slow=$pid
		wait_until has_part d 0
		touch "$(day $marked).protected"
		is_stopped()
		{
			child=$(cat /proc/$slow/task/$slow/children)
			[ -n "$child" ] && grep -q '^State:	[Tt]' /proc/${child% }/status
		}
		wait_until is_stopped
		kill -CONT $child
		ended_with 0 $slow
		expect_text "$out" "web-2026-01-${marked}T120000Z.vmab (" 'web-2026-01-01T120000Z.vmab (needed)'
		days_left 01 02 03
		[ -z "$(ls -A d | grep '^\.')" ] || fail "left: $(ls -A d)"
		for one in 01 02 03; do
			expect_code 0 "$VMABAK" restore -q --force "$(day $one)" -C back
			same_file back/root.raw states/$one
		done
		rm "$(day $marked).protected"
		expect_code 0 "$VMABAK" prune d --keep-last 1 --merge
		days_left 03
	done
fi
