# An object store that sends a byte now and then: such an answer is given up, and asked for again; one that always does so makes the
# run fail. What has come of a range is used before the rest of it is there.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
export VMABAK_RETRY_MS=5 VMABAK_STALL_S=1

make_random drive.raw 3000000 1
store drip@PUT drip@HEAD 'drip@POST /backups/a.vmab?uploads' drip@GET+3 drip@/always.vmab+1
expect_code 0 timeout 100 "$VMABAK" backup -q --compress none -o s3://backups/a.vmab root=drive.raw
no_uploads
expect_code 0 timeout 100 "$VMABAK" restore -q s3://backups/a.vmab -d root=restored.raw
same_file drive.raw restored.raw
expect_error 1 'tried 8 times' timeout 100 "$VMABAK" backup -q -o s3://backups/always.vmab root=drive.raw
expect_error 1 'tried 8 times' timeout 100 "$VMABAK" list s3://backups/always.vmab
objects "{\"/backups/a.vmab\": $(tell objects | sed 's/[^0-9]*//g')}"
no_uploads
end_store

store drip@GET+2
expect_code 0 "$VMABAK" backup -q --compress none -o s3://backups/a.vmab root=drive.raw
part=.part.raw.resume.part
in_background env VMABAK_STALL_S=1000 "$VMABAK" restore --resume s3://backups/a.vmab -d root=part.raw
half_there()
{
	[ -f $part ] && [ "$(allocated $part)" -ge 1000 ]
}
wait_until half_there
kill -TERM "$pid"
wait "$pid" || :
