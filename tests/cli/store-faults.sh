# An object store in trouble: either all is well in the end, or it fails with the right code and leaves no object.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"

make_random drive.raw 18000000 1

# writes CODE FAULT...
writes()
{
	code=$1
	shift
	store "$@"
	expect_code "$code" "$VMABAK" backup -o s3://backups/a.vmab root=drive.raw
	no_uploads
	if [ "$code" = 0 ]; then
		expect_code 0 "$VMABAK" restore s3://backups/a.vmab --force -d root=restored.raw
		same_file drive.raw restored.raw
	else
		objects '{}'
	fi
	end_store
}
# Each passes. "late": the request had its effect, and the answer was lost.
writes 0 500@uploads= 503@partNumber=1 drop@partNumber=2 error200@POST+2
writes 0 drop@uploads= late@partNumber=2 late@uploadId=id%2F1
writes 0 'late@POST /backups/a.vmab?uploadId' drop@HEAD
writes 0 'latetag@POST /backups/a.vmab?uploadId'
writes 0 'late@POST /backups/a.vmab?uploadId' 403@HEAD+2
writes 0 503@partNumber+2 'error200@POST /backups/a.vmab?uploadId'
# These do not.
writes 1 403@uploads=
expect_text "$err" 'AccessDenied'
writes 1 403@partNumber=2
writes 1 '403@POST /backups/a.vmab?uploadId'
# A store that never gets well: told after eight tries.
store 500@partNumber=1+1
expect_code 1 "$VMABAK" backup -o s3://backups/b.vmab root=drive.raw
expect_text "$err" '500 InternalError' 'tried 8 times'
no_uploads
end_store

# reads CODE FAULT...
reads()
{
	code=$1
	shift
	store "$@"
	expect_code 0 "$VMABAK" backup -o s3://backups/a.vmab root=drive.raw
	expect_code "$code" "$VMABAK" verify s3://backups/a.vmab
	end_store
}
reads 0 500@GET+5 drop@GET+7 cut@GET+4
reads 1 whole@GET+3
expect_text "$err" 'does not answer with the range'
reads 4 wrong@GET+3
reads 1 403@GET+3

# Object lock: a store that ignores it is noticed; a key that may not ask for it is enough.
store unlocked@a.vmab?uploads unlocked@a.vmab?retention= 'unlocked@PUT /backups/a.vmab?ret' \
	unlocked@c.vmab?uploads '403@GET /backups/b.vmab?retention' unlocked@d.vmab?uploads ignorant@d.vmab?retention+1
expect_error 1 'is complete, but the object store has not locked it until 2099-12-31' \
	"$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/a.vmab root=drive.raw
no_uploads
expect_code 0 "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/b.vmab root=drive.raw
expect_text requests 'GET /backups/b.vmab?retention= 403'
# One that does not know what that is, is not told it twice: it would take it for the object.
expect_error 1 'has not locked it' "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/d.vmab root=drive.raw
expect_code 0 "$VMABAK" verify s3://backups/d.vmab
# Ceph 16 heeds it in no upload in parts: then it is said once more.
expect_code 0 "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/c.vmab root=drive.raw
tell kept | grep -q '"/backups/c.vmab": "2099-12-31T00:00:00Z"' || fail "not kept: $(tell kept)"
end_store
