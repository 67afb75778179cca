# An archive that was written to a block device, and said to be done, can be read from there,
# whatever the device held before and however large it is.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 3000000 1
truncate -s 4194304 drive.raw
for old in zeros full; do
	if [ $old = full ]; then
		make_full device.raw 41943040
	else
		truncate -s 41943040 device.raw
	fi
	loop_device device.raw
	expect_error 2 'is a block device; --force' "$VMABAK" backup -o "$loop" --format vmab drive.raw
	for format in vmab vma; do
		code=0
		"$VMABAK" backup --force -o "$loop" --format $format drive.raw 2>"$err" || code=$?
		# To refuse is as good as to do.
		[ $code != 2 ] || continue
		[ $code = 0 ] || fail "code $code: $(cat "$err")"
		expect_code 0 "$VMABAK" verify "$loop"
		expect_code 0 "$VMABAK" restore "$loop" --force -d disk0=back.raw
		same_file drive.raw back.raw
	done
	rm device.raw
done
