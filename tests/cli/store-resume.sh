# A backup into an object store that broke off is taken up with --resume: the parts that the store has are compared by
# their MD5 sums, and only those that are missing are sent; the object is the one of a run that was never broken.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"

# Part 3 of each first run is never answered, nor is the end of a's second one: none of them is ever done.
: >requests
set --
for name in a b c e f g j; do
	set -- "$@" "stall@PUT /backups/$name.vmab?partNumber=3&"
done
store "$@" '403@GET /backups/j.vmab?part-number-marker' 'stall@POST /backups/a.vmab?uploadId' '403@DELETE /backups/f.vmab?uploadId'

make_random d.raw 70000000 1
# broken SIGNAL NAME REQUEST [OPTION]...: a run that ends so when the store has that request, and all parts that come before.
broken()
{
	signal=$1 name=$2 request=$3
	shift 3
	in_background env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --resume --compress none "$@" \
		-o "s3://backups/$name.vmab" d=d.raw
	wait_until grep -q "^$request" requests
	wait_until has_parts "$name"
	kill -"$signal" $pid
	wait $pid || true
	expect_no_text "$err" 'nothing was kept'
	[ "$(tell uploads)" = 1 ] || fail 'the upload is not there'
}
has_note()
{
	[ -s "$(echo state/vmabak/uploads/*)" ]
}
has_parts()
{
	[ "$(tell parts/backups/"$1".vmab)" -ge 2 ]
}
# resumed NAME TEST [OPTION]...: TEST is of k, the bytes that were there.
resumed()
{
	name=$1 test=$2
	shift 2
	expect_code 0 "$VMABAK" backup --resume --json --compress none "$@" -o "s3://backups/$name.vmab" d=d.raw
	expect_json "$out" "(lambda k: $test)(d['kept_bytes'])"
	no_uploads
	[ -z "$(ls state/vmabak/uploads)" ] || fail "notes are left: $(ls state/vmabak/uploads)"
}
# same NAME FILE: the object is what a backup into a file, with its uuid and the time of the first run, is.
same()
{
	uuid=$("$VMABAK" list --json "s3://backups/$1.vmab" | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
	expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --uuid "$uuid" --compress none -o a.vmab d=d.raw
	expect_code 0 "$VMABAK" convert --force --compress none "s3://backups/$1.vmab" -o b.vmab
	same_file a.vmab b.vmab
	rm a.vmab b.vmab
}

broken KILL a 'PUT /backups/a.vmab?partNumber=3'
first=$(tell parts/backups/a.vmab)
# Other runs leave it alone.
printf x >small
expect_code 0 "$VMABAK" backup -o s3://backups/other.vmab d=small
[ "$(tell uploads)" = 1 ] || fail 'removed by a backup of another name'
broken TERM a 'POST /backups/a.vmab?uploadId'
[ "$(tell parts/backups/a.vmab)" = 5 ] || fail 'not all parts are there'
sent=$(grep -c '^PUT /backups/a.vmab?partNumber' requests)
expect_code 0 test "$first" -lt 5 -a "$sent" -lt 10
resumed a 'k > 70000000'
[ "$(grep -c '^PUT /backups/a.vmab?partNumber' requests)" = "$sent" ] || fail 'sent what was there'
same a

# A drive or options that changed: anew, and not of the first run's time.
broken KILL b 'PUT /backups/b.vmab?partNumber=3'
put d.raw 1000000 changed
resumed b 'k == 0'
expect_code 0 "$VMABAK" list --json s3://backups/b.vmab
expect_json "$out" "d['created_ns'] > 1700000000 * 10**9"
expect_code 0 "$VMABAK" verify s3://backups/b.vmab
broken KILL c 'PUT /backups/c.vmab?partNumber=3'
resumed c 'k == 0' --note other

# The store has forgotten it; it was retained otherwise, and is removed once the store lets it be; a run without the option removes it.
broken KILL e 'PUT /backups/e.vmab?partNumber=3'
tell 'anew?1' >"$TMPDIR/anew"
resumed e 'k == 0'
broken KILL f 'PUT /backups/f.vmab?partNumber=3'
resumed f 'k == 0' --retain-until 2999-01-01
expect_code 0 "$VMABAK" list --json s3://backups/f.vmab
expect_json "$out" "d['created_ns'] > 1700000000 * 10**9"
broken KILL g 'PUT /backups/g.vmab?partNumber=3'
expect_code 0 "$VMABAK" backup -q -o s3://backups/g.vmab d=small
no_uploads
# That the store does not tell the parts now is no reason to remove them.
broken KILL j 'PUT /backups/j.vmab?partNumber=3'
expect_error 1 '403 AccessDenied' "$VMABAK" backup --resume --compress none -o s3://backups/j.vmab d=d.raw
[ "$(tell uploads)" = 1 ] || fail 'what was to be taken up was removed'
resumed j 'k > 30000000'
# What is there already is not begun with. Two at once.
expect_error 2 'exists already' "$VMABAK" backup --resume -o s3://backups/g.vmab d=small
no_uploads
in_background "$VMABAK" backup --resume --rate 10M --compress none -o s3://backups/i.vmab d=d.raw
wait_until grep -q '^POST /backups/i.vmab?uploads' requests
wait_until has_note
paused $pid expect_error 7 ': s3://backups/i.vmab: another run is writing this object' "$VMABAK" backup --resume -o s3://backups/i.vmab d=d.raw
