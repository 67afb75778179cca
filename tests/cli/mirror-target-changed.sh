# The file that a mirror writes to is removed, renamed, replaced, or made shorter by others: the mirror ends and says so, nobody is led
# to such a target, the guest does not notice, and what the state knows of a file counts for that very file of that very size.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 2000001 1
truncate -s 4000001 a.raw
mirror() { "$VMABAK" mirror "$@"; }
state_is() { mirror status serve:c.sock --json >"$out" && grep -q "$1" "$out"; }
begin() { mirror start serve:c.sock -d "a=$PWD/t.raw" --state s.json "$@"; }
in_sync()
{
	expect_code 0 mirror wait serve:c.sock
	wait_until state_is '"left_bytes": 0,'
	same_file a.raw t.raw
	wait_until grep -q '"n_clusters":62' s.json
}
# lost WORDS COMMAND...: done to the target of a mirror that is in sync, just before the pivot.
lost()
{
	lib_words=$1
	shift
	in_sync
	"$@"
	expect_error 1 "$lib_words" mirror pivot serve:c.sock
	status "s['drives'][0]['path'][-5:] == 'a.raw'"
	guest a 'h.pwrite(b"x" * 5000, 65536 * 9 + 7); h.flush()'
	wait_until state_is '"state": "failed"'
	expect_error 1 "$lib_words" mirror wait serve:c.sock
	expect_error 1 "$lib_words" mirror pivot serve:c.sock
	expect_code 0 mirror status serve:c.sock
	expect_text "$out" 'mirror: failed' "$lib_words"
	guest a 'assert h.pread(5000, 65536 * 9 + 7) == b"x" * 5000'
}
# Only what changed is copied.
known()
{
	begin --json >"$out" || return 1
	expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] <= 65536"
}
replace() { mv t.raw away.raw && cp away.raw t.raw; }

start_serve --map a.map a=a.raw
expect_code 0 begin
lost 'was removed, renamed or replaced' mv t.raw away.raw
mv away.raw t.raw
expect_code 0 known
lost 'was removed, renamed or replaced' replace
expect_error 2 'exists already; --force' begin
mv away.raw t.raw
expect_code 0 known
lost 'was removed, renamed or replaced' rm t.raw
# It is made anew, with all.
expect_code 0 begin --json
expect_json "$out" "not d['drives'][0]['known']"

lost 'was made shorter meanwhile: it has 3000000 bytes' truncate -s 3000000 t.raw
expect_error 2 'has another size than the drive' begin
expect_code 0 begin --force --json
expect_json "$out" "not d['drives'][0]['known']"
in_sync
expect_code 0 mirror abort serve:c.sock
truncate -s 4000002 t.raw
expect_error 2 'has another size than the drive' begin
truncate -s 4000001 t.raw
expect_code 0 known
in_sync
expect_code 0 mirror pivot serve:c.sock -q
status "s['drives'][0]['path'][-6:] == '/t.raw'"
stop_serve
