# An object that comes while another run uploads one of the same name is not replaced without --force, also by a store that heeds no
# condition at the end of an upload.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"

make_random drive.raw 20000000 1
make_random small.raw 60000 2
for ignorant in '' 'ignorant@POST /backups/a.vmab?uploadId+1'; do
	store ${ignorant:+"$ignorant"}
	in_background "$VMABAK" backup --rate 8M -o s3://backups/a.vmab root=drive.raw
	wait_until grep -q '^PUT /backups/a.vmab?partNumber' requests
	expect_code 0 "$VMABAK" backup -o s3://backups/a.vmab root=small.raw
	ended_with 2 "$pid"
	expect_text "$err" 'exists already; --force replaces it'
	no_uploads
	expect_code 0 "$VMABAK" restore -q s3://backups/a.vmab -d root=now.raw
	same_file now.raw small.raw
	rm now.raw
	end_store
done
