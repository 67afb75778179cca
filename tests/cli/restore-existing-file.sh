# A file that exists is overwritten with --force alone, and then no byte of it stays.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000001 1
truncate -s 10000000 drive.raw
put drive.raw 5000000 'not all zeros'
echo text >a.conf
for archive in a.vmab a.vma; do
	expect_code 0 "$VMABAK" backup -o $archive -c a.conf drive.raw
	for size in 0 4097 10000000 20000000; do
		make_full target.raw $size
		cp target.raw before
		expect_error 2 'target.raw: exists already; --force' "$VMABAK" restore $archive -d disk0=target.raw
		same_file before target.raw
		expect_code 0 "$VMABAK" restore $archive --force -d disk0=target.raw
		cmp -n 10000000 drive.raw target.raw || fail "an old byte stayed, of $size"
		[ "$(size_of target.raw)" -lt 10000512 ] || fail "$(size_of target.raw) bytes"
		[ "$(allocated target.raw)" -lt 2000 ] || fail "zeros are no holes"
	done
	# The same in a folder, configs too.
	mkdir back
	make_full back/disk0.raw 70000
	echo old >back/a.conf
	expect_error 2 'exists already' "$VMABAK" restore $archive -C back
	[ "$(size_of back/disk0.raw)" = 70000 ] || fail "written without --force"
	expect_code 0 "$VMABAK" restore $archive -C back --force
	cmp -n 10000000 drive.raw back/disk0.raw || fail "differs"
	same_file a.conf back/a.conf
	[ "$(ls -A back | wc -l)" = 2 ] || fail "left: $(ls -A back)"
	rm -r back
done
