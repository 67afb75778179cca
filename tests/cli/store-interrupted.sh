# A backup to an object store that fails, is interrupted or killed leaves no object, and what a kill leaves of an upload
# is removed by the next run.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store

make_random drive.raw 60000000 1
uploading()
{
	grep -q "^PUT /backups/$1.vmab?partNumber" requests
}
begin()
{
	in_background "$VMABAK" backup --rate 7M -o "s3://backups/$1.vmab" root="$2"
	wait_until uploading "$1"
}
for signal in TERM INT; do
	begin $signal drive.raw
	kill -$signal "$pid"
	wait "$pid" || :
	expect_text "$err" interrupted
	no_uploads
done
cp drive.raw cut.raw
begin cut cut.raw
truncate -s 600000 cut.raw
ended_with 1 "$pid"
no_uploads
objects '{}'

begin killed drive.raw
kill -KILL "$pid"
wait "$pid" || :
[ "$(tell uploads)" = 1 ] || fail "the upload of the killed run is not there"
# That of another host, whose lock is not seen here, is left alone.
note=$(ls state/vmabak/uploads/*)
cp "$note" kept
sed -i '3s/.*/another host/' "$note"
cp cut.raw small.raw
expect_code 0 "$VMABAK" backup -o s3://backups/other.vmab root=small.raw
[ "$(tell uploads)" = 1 ] || fail "the upload of another host is gone"
cp kept "$note"
# Another run that lives is left alone.
begin alive drive.raw
alive=$pid
expect_code 0 "$VMABAK" backup -o s3://backups/next.vmab root=cut.raw
kill -0 "$alive" || fail "ended before the other one: $(cat "$err")"
[ "$(tell uploads)" = 1 ] || fail "not one upload, but $(tell uploads)"
wait "$alive" || fail "the other one failed: $(cat "$err")"
no_uploads
tell objects | grep -q alive || fail "the other one has no object"
[ -z "$(ls state/vmabak/uploads)" ] || fail "notes are left: $(ls state/vmabak/uploads)"

# A store that does not answer any more does not keep an interrupted run for long.
end_store
rm requests
store stall@DELETE
begin hanging drive.raw
(sleep 25; : >late) &
on_exit "kill $! 2>/dev/null"
kill -TERM "$pid"
wait "$pid" || :
[ ! -e late ] || fail "it waited for the store"
