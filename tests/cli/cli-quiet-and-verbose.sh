# --quiet: nothing but warnings and errors; --verbose: more.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100001 1
echo text >a.conf
for command in 'backup -o a.vmab -c a.conf drive.raw' 'backup -o a.vma drive.raw' 'verify a.vmab' \
	'restore a.vmab -C back' 'convert a.vmab -o b.vma'; do
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" $command -q
	[ ! -s "$out" ] && [ ! -s "$err" ] || fail "$command -q said: $(cat "$out" "$err")"
done
head -c 3000 a.vmab >cut
expect_error 4 incomplete "$VMABAK" verify -q cut
rm a.vma
expect_code 0 "$VMABAK" backup -v -o a.vma drive.raw
expect_text "$err" 'stored as 100352 bytes'
