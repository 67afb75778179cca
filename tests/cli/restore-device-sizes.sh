# A device that is too small is refused before the first write; of a much larger one the rest stays.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 16777216 1
make_random second.raw 65536 2
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw second.raw

make_full small.raw 8388608
cp small.raw before
loop_device small.raw
expect_error 2 'has 8388608 bytes, and the drive 16777216' \
	"$VMABAK" restore a.vmab --force -d disk0="$loop"
cmp before "$loop" || fail "something was written"
# The other drive is not begun either.
make_full good.raw 65536
cp good.raw good.before
expect_error 2 'has 8388608 bytes' \
	"$VMABAK" restore a.vmab --force -d disk1=good.raw -d disk0="$loop"
same_file good.before good.raw
cmp before "$loop" || fail "something was written"

make_full large.raw 33554432
loop_device large.raw
expect_code 0 "$VMABAK" restore a.vmab --force -d disk0="$loop"
expect_text "$err" '(16777216 bytes) larger'
cmp -n 16777216 drive.raw "$loop" || fail "the drive differs"
make_full rest 16777216
tail -c 16777216 "$loop" | cmp - rest || fail "the rest was written to"
expect_code 0 "$VMABAK" restore --json a.vmab --force -d disk0="$loop"
expect_json "$out" "d['drives'][0]['excess_bytes'] == 16777216"
