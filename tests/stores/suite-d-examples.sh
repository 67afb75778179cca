# examples/ as they stand: a nightly chain straight into the store, and an archive through rclone by exec:. Sourced by suite.sh.
mkdir program
ln -s "$VMABAK" program/vmabak
PATH=$PWD/program:$PATH
make_random root.raw 20000000 8
# one_night SECONDS
one_night()
{
	cp root.raw last.raw
	expect_code 0 env VMABAK_FOLDER=s3://backups/nightly SOURCE_DATE_EPOCH="$1" "$SRC/examples/nightly.sh" web 2 root=root.raw
	[ ! -s "$out" ] && [ ! -s "$err" ] || fail "it says something: $(cat "$out" "$err")"
}
for day in 0 1 2; do
	printf "night $day" | dd of=root.raw bs=1 seek=$((day * 700000)) conv=notrunc status=none
	one_night $((1700000000 + day * 86400))
done
expect_code 0 "$VMABAK" list s3://backups/nightly/
expect_text "$out" 'machine web: 2 archives in 1 chain'
expect_code 0 "$VMABAK" restore s3://backups/nightly/web-2023-11-16T221320Z.vmab -C nightly
same_file last.raw nightly/root.raw
passed 'examples/nightly.sh'

if command -v rclone >/dev/null; then
	export RCLONE_CONFIG=/dev/null RCLONE_CONFIG_STORE_TYPE=s3 RCLONE_CONFIG_STORE_PROVIDER=Ceph RCLONE_CONFIG_STORE_ENV_AUTH=true \
		RCLONE_CONFIG_STORE_ENDPOINT="$AWS_ENDPOINT_URL" RCLONE_CONFIG_STORE_REGION="$AWS_REGION"
	expect_code 0 "$SRC/examples/object-store.sh" store:backups/piped monday root=root.raw
	expect_code 0 "$VMABAK" verify s3://backups/piped/monday.vmab
	expect_code 2 "$SRC/examples/object-store.sh" store:backups/piped monday root=root.raw
	expect_text "$err" 'exists already'
	expect_code 1 "$SRC/examples/object-store.sh" store:backups/piped tuesday root=missing.raw
	expect_error 1 'there is no such object' "$VMABAK" list s3://backups/piped/tuesday.vmab
	expect_error 1 'there is no such object' "$VMABAK" list s3://backups/piped/tuesday.vmab.part
	expect_code 0 "$VMABAK" restore 'exec:rclone -q cat store:backups/piped/monday.vmab' -C piped
	same_file root.raw piped/root.raw
	passed 'examples/object-store.sh'
else
	echo "$store: skipped: examples/object-store.sh needs rclone"
fi
