# Some drives out of a VMAB file: found by its index, so the rest is not read; what damage there is
# in it is for verify to find. From a pipe all of it is read.
. "$(dirname "$0")/lib.sh"

for name in one two three; do
	make_random $name.raw 6000001 $name
	truncate -s 30000001 $name.raw
	put $name.raw 29000000 "the end of $name"
done
for options in '--compress zstd' '--compress none --record-size 1M'; do
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" backup --force $options -o a.vmab one=one.raw two=two.raw three=three.raw
	expect_code 0 "$VMABAK" restore a.vmab -C back -d two -d one=back/1
	same_file two.raw back/two.raw
	same_file one.raw back/1
	# Its size is what was read.
	expect_code 0 "$VMABAK" restore a.vmab --json -C back -d three
	expect_json "$out" "0.3 * $(size_of a.vmab) < d['archive_bytes'] < 0.4 * $(size_of a.vmab)"
	rm back/three.raw
	expect_code 0 "$VMABAK" restore a.vmab --force -d three=back/1
	same_file three.raw back/1
	expect_code 0 sh -c '"$VMABAK" restore - -d two=back/2 <a.vmab'
	same_file two.raw back/2
	expect_code 0 sh -c 'cat a.vmab | "$VMABAK" restore - -d two=back/3'
	same_file two.raw back/3
	rm -r back
done

flip a.vmab 1000000
expect_code 4 "$VMABAK" verify a.vmab
expect_code 0 "$VMABAK" restore a.vmab -C back -d two
same_file two.raw back/two.raw
rm -r back
expect_error 4 'a.vmab: damaged at byte ' "$VMABAK" restore a.vmab -C back -d one
expect_code 4 sh -c 'cat a.vmab | "$VMABAK" restore - -C back -d two'
flip a.vmab 1000000
# Without a tail, or with a bad index, there is no such way.
head -c 18000000 a.vmab >cut
expect_error 4 incomplete "$VMABAK" restore cut -C back -d two
index=$("$PYTHON" -c 'data = open("a.vmab", "rb").read()
at = data.rindex(b"VMABSECT")
print(int.from_bytes(data[at + 0x28:at + 0x30], "little"))')
for at in 10 600; do
	flip a.vmab $((index + at))
	expect_error 4 'a.vmab: damaged at byte ' "$VMABAK" restore a.vmab -C back -d two
	flip a.vmab $((index + at))
done
[ ! -e back ] || fail "a folder was left"
