# One run at a time works on the archives of a machine: another one ends with 7, or waits. Other machines do not matter.
. "$(dirname "$0")/lib.sh"

make_random web.raw 3000000 1
mkdir d
expect_code 0 "$VMABAK" backup -q --to d --name web root=web.raw
make_random web.raw 3000000 2
in_background "$VMABAK" backup -q --to d --name web --rate 800K --compress none root=web.raw
slow=$pid
wait_until has_part d 10000
meanwhile()
{
	expect_error 7 'another run of vmabak works on the backups of web' "$VMABAK" backup --to d --name web root=web.raw
	expect_error 7 '--lock-wait' "$VMABAK" prune d --keep-last 1
	expect_code 0 "$VMABAK" prune d --keep-last 1 --dry-run
	expect_code 0 "$VMABAK" list d
	expect_code 0 "$VMABAK" backup -q --to d --name db root=web.raw
	expect_error 7 'another run' "$VMABAK" backup --to d --name web --lock-wait 1 root=web.raw
	expect_code 7 "$VMABAK" prune d --keep-last 1 --json
	expect_json "$out" '[m["machine"] for m in d["machines"]] == ["db"]'
}
paused $slow meanwhile
expect_code 0 "$VMABAK" backup --json --to d --name web --lock-wait 60 root=web.raw
expect_json "$out" 'd["data_clusters"] == 0'
ended_with 0 $slow
expect_code 0 "$VMABAK" list d
expect_text "$out" 'web: 3 archives in 1 chain'

# Many at once: each gets its turn, and a name and a parent of its own.
pids=
for n in 1 2 3 4 5 6 7 8; do
	"$VMABAK" backup -q --to d --name web --lock-wait 60 root=web.raw &
	pids="$pids $!"
done
for pid in $pids; do ended_with 0 "$pid"; done
expect_code 0 "$VMABAK" list d
expect_text "$out" 'web: 11 archives in 1 chain'
expect_code 0 "$VMABAK" list --json d
expect_json "$out" 'all(b["parent_uuid"] == a["uuid"] for m in d["machines"] for a, b in zip(m["archives"], m["archives"][1:]))'
[ -z "$(ls -A d | grep '^\.')" ] || fail "left: $(ls -A d)"

# A signal leaves nothing but the lock's file, which does no harm; and so does a prune that is too late.
in_background "$VMABAK" backup -q --to d --name db --rate 200K --compress none --full-every 1 root=web.raw
wait_until has_part d 10000
kill -TERM $pid
ended_with 143 $pid
[ "$(ls -A d | grep '^\.' | grep -v '^\.db\.lock$')" = '' ] || fail "left: $(ls -A d)"
expect_code 0 "$VMABAK" prune d --keep-last 1
[ -z "$(ls -A d | grep '^\.')" ] || fail "left: $(ls -A d)"
