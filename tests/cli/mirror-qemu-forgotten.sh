# What a mirror of a QEMU leaves in its drives for a state that is lost then is removed by an abort with --force, and nothing of
# others; sockets of images that a killed process has left, too. A set without a rate changes none.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

mirrored_drives
# Names: those of a state may be the same in both drives.
bitmaps() { ask_qmp query-named-block-nodes | grep -o '"name": "vmabak-keep-[^"]*"' | sort -u | wc -l; }
begin()
{
	expect_code 0 mirror_start -d A=ta.raw -d B=tb.raw --state s.json --force "$@"
	in_sync
}
ask_qmp block-dirty-bitmap-add '{"node": "A", "name": "vmabak-keep-mine"}' >answer
begin --rate 100M
expect_code 0 mirror set --on-slow drop-to-changes
expect_code 0 mirror status --json
expect_json "$out" "d['mirror']['rate_bytes_per_s'] == 104857600"
expect_code 0 mirror abort
rm s.json
begin
expect_code 0 mirror abort
left=$(bitmaps)
[ "$left" -ge 3 ] || fail "$left bitmaps"
expect_error 2 'no mirror is running' mirror abort
[ "$(bitmaps)" = "$left" ] || fail "an abort has removed what is needed"
expect_code 0 mirror abort --force
[ "$(bitmaps)" = 1 ] || fail "$(bitmaps) bitmaps"
expect_error 2 'no mirror is running' mirror abort --force
begin
expect_code 0 mirror abort --force
[ "$(bitmaps)" = 1 ] || fail "$(bitmaps) bitmaps"
expect_error 2 'exists already' mirror_start -d A=ta.raw -d B=tb.raw --state s.json
nothing_of_mirrors
