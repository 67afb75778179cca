# A restore with --resume or --rollback from a store or a web server fetches the extents that differ from what is on the target, and of
# others their headers alone.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store
make_random drive.raw 20000000 1
dd if=/dev/zero of=drive.raw bs=65536 seek=20 count=30 conv=notrunc status=none
expect_code 0 "$VMABAK" backup -q --compress none -o s3://backups/a.vmab a=drive.raw b=drive.raw
cp drive.raw back.raw

# fetches TEST WRITTEN OPTION...: TEST is of f, the bytes that were fetched.
fetches()
{
	test=$1 written=$2
	shift 2
	expect_code 0 "$VMABAK" restore --json "$@"
	expect_json "$out" "(lambda f: $test)(d['fetched_bytes'])"
	expect_json "$out" "d['written_bytes'] == $written"
}
fetches 'f < 1000000' 0 s3://backups/a.vmab --resume --force -d a=back.raw
cp drive.raw second.raw
fetches 'f < 1000000' 0 s3://backups/a.vmab --rollback -d a=back.raw -d b=second.raw
put back.raw 10000000 changed
fetches 'f < 3000000' 65536 s3://backups/a.vmab --rollback -d a=back.raw -d b=second.raw
same_file drive.raw back.raw
# The second half is missing, as a run that was killed leaves it.
head -c 10000000 drive.raw >.new.raw.resume.part
fetches '9000000 < f < 13000000' 10038528 s3://backups/a.vmab --resume -d a=new.raw
same_file drive.raw new.raw
fetches '17000000 < f < 20000000' 18033920 s3://backups/a.vmab --resume -d a=all.raw
same_file drive.raw all.raw

# Of a chain, what differs of each archive.
put drive.raw 5000000 second
dd if=/dev/zero of=drive.raw bs=65536 seek=100 count=20 conv=notrunc status=none
expect_code 0 "$VMABAK" backup -q --compress none --parent s3://backups/a.vmab -o s3://backups/b.vmab a=drive.raw b=second.raw
fetches 'f < 1500000' 1376256 s3://backups/b.vmab --rollback -d a=back.raw -d b=second.raw
same_file drive.raw back.raw
head -c 10000000 drive.raw >.chain.raw.resume.part
fetches '9000000 < f < 13000000' 10038528 s3://backups/b.vmab --resume -d a=chain.raw
same_file drive.raw chain.raw

# Where nothing differs, many headers are on their way at a time; one that fails is asked for again, or ends the restore.
end_store
rm requests
store slow@GET+1
expect_code 0 "$VMABAK" backup -q --compress none -o s3://backups/a.vmab a=drive.raw
fetches 'f < 1000000' 0 s3://backups/a.vmab --rollback -d a=back.raw
[ "$(tell most)" -gt 4 ] || fail "only $(tell most) at a time"
failing()
{
	end_store
	rm requests
	store "$1"
	expect_code 0 "$VMABAK" backup -q --compress none -o s3://backups/a.vmab a=drive.raw
}
export VMABAK_RETRY_MS=20
failing cut@GET+3
fetches 'f < 1000000' 0 s3://backups/a.vmab --rollback -d a=back.raw
failing 403@GET+12
expect_error 1 'AccessDenied' "$VMABAK" restore s3://backups/a.vmab --rollback -d a=back.raw
