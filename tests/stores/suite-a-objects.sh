# Single objects, by every verb. Sourced by suite.sh.
make_random root.raw 40000000 1
make_random data.raw 3072000 2 # whole sectors: VMA rounds up
echo 'one = 1' >web.conf
o=s3://backups/web/monday.vmab
no_notes()
{
	[ -z "$(ls state/vmabak/uploads 2>/dev/null)" ] || fail "a note of an upload that has ended is left"
}

expect_error 1 'there is no such object' "$VMABAK" list $o
expect_error 1 'NoSuchBucket' "$VMABAK" list s3://nothing/a.vmab
expect_error 1 'NoSuchBucket' "$VMABAK" backup -o s3://nothing/a.vmab root=data.raw
expect_code 0 "$VMABAK" backup -o $o -c web.conf root=root.raw data=data.raw
no_notes
expect_code 0 "$VMABAK" verify $o
expect_code 0 "$VMABAK" list $o
expect_text "$out" root data web.conf
expect_code 0 "$VMABAK" restore $o -C restored
same_file root.raw restored/root.raw
same_file data.raw restored/data.raw
expect_code 0 "$VMABAK" restore $o -d data=one.raw
same_file data.raw one.raw
expect_code 0 "$VMABAK" config $o web.conf
same_file "$out" web.conf
passed 'backup, list, verify, restore, config'

expect_code 0 "$VMABAK" convert $o -o s3://backups/copy.vma
expect_code 0 "$VMABAK" verify s3://backups/copy.vma
expect_code 0 "$VMABAK" salvage s3://backups/copy.vma -C salvaged
same_file root.raw salvaged/root.raw
expect_code 0 "$VMABAK" salvage $o -C salvaged2
same_file root.raw salvaged2/root.raw
passed 'convert, salvage'

expect_error 2 'exists already' "$VMABAK" backup -o $o root=data.raw
expect_code 0 "$VMABAK" backup --force -o s3://backups/copy.vma root=data.raw
expect_code 0 "$VMABAK" restore s3://backups/copy.vma -C again
same_file data.raw again/root.raw
expect_code 0 "$VMABAK" backup -o 's3://backups/a b+c=%41?#ü&.vmab' root=data.raw
expect_code 0 "$VMABAK" verify 's3://backups/a b+c=%41?#ü&.vmab'
expect_code 0 "$VMABAK" backup --s3-parts 2 -o s3://backups/two.vmab root=root.raw
expect_code 0 "$VMABAK" verify s3://backups/two.vmab
: >empty.raw
truncate -s 65536 empty.raw
expect_code 0 "$VMABAK" backup -o s3://backups/small.vmab root=empty.raw
expect_code 0 "$VMABAK" verify s3://backups/small.vmab
passed 'names, --force, parts'

expect_code 0 "$VMABAK" backup -o s3://backups/full.vmab root=root.raw
printf change | dd of=root.raw bs=1 seek=5000000 conv=notrunc status=none
expect_code 0 "$VMABAK" backup -o s3://backups/inc.vmab --parent s3://backups/full.vmab root=root.raw
expect_code 0 "$VMABAK" restore s3://backups/inc.vmab s3://backups/full.vmab -C chain
same_file root.raw chain/root.raw
expect_code 0 "$VMABAK" merge s3://backups/inc.vmab s3://backups/full.vmab -o s3://backups/merged.vmab
expect_code 0 "$VMABAK" restore s3://backups/merged.vmab -C merged
same_file root.raw merged/root.raw
passed 'increments, merge'

expect_error 1 '403 SignatureDoesNotMatch' env AWS_SECRET_ACCESS_KEY=wrong-one "$VMABAK" list $o
expect_no_text "$err" wrong-one
expect_error 1 '403 SignatureDoesNotMatch' env AWS_SECRET_ACCESS_KEY=wrong-one "$VMABAK" backup -o s3://backups/no.vmab root=data.raw
expect_error 1 '403' env AWS_ACCESS_KEY_ID=nobody "$VMABAK" list $o
passed 'errors'

# An interrupted backup leaves no object; what a kill leaves of an upload is removed by the next run.
make_random large.raw 80000000 3
uploading()
{
	[ -n "$(ls state/vmabak/uploads 2>/dev/null)" ]
}
in_background "$VMABAK" backup --rate 8M -o s3://backups/cut.vmab root=large.raw
wait_until uploading
kill -TERM "$pid"
wait "$pid" || :
expect_error 1 'there is no such object' "$VMABAK" list s3://backups/cut.vmab
expect_code 0 "$VMABAK" backup -o s3://backups/after.vmab root=data.raw
no_notes
in_background "$VMABAK" backup --rate 8M -o s3://backups/cut.vmab root=large.raw
wait_until uploading
kill -KILL "$pid"
wait "$pid" || :
uploading || fail "a killed run left no note"
expect_code 0 "$VMABAK" backup -o s3://backups/next.vmab root=data.raw
no_notes
expect_error 1 'there is no such object' "$VMABAK" list s3://backups/cut.vmab
passed 'interrupted and killed runs'

# Object lock: told by the store that has it, refused or noticed with the other.
if [ "$store" = ceph ]; then
	put locked -H 'x-amz-bucket-object-lock-enabled: true'
	expect_code 0 "$VMABAK" backup --retain-until 2099-12-31 -o s3://locked/kept.vmab root=data.raw
	expect_code 0 "$VMABAK" verify s3://locked/kept.vmab
	expect_code 1 "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/kept.vmab root=data.raw
else
	expect_code 1 "$VMABAK" backup --retain-until 2099-12-31 -o s3://backups/kept.vmab root=data.raw
fi
passed 'retention'
