# An archive that exists stays, without --force; with it, until the new one is complete.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 10000000 1
echo old >a.vmab
ln -s a.vmab link.vmab
expect_error 2 'a.vmab: exists already; --force' "$VMABAK" backup -o a.vmab drive.raw
expect_error 2 'link.vmab: exists already; --force' "$VMABAK" backup -o link.vmab drive.raw
[ "$(cat a.vmab)" = old ] || fail "was overwritten"

in_background "$VMABAK" backup --force --rate 10M -o a.vmab drive.raw
wait_until has_part . 1000000
[ "$(cat a.vmab)" = old ] || fail "was overwritten before the end"
ended_with 0 $pid
expect_code 0 "$VMABAK" verify a.vmab
# A link stays one; the file behind it is replaced.
echo old >a.vmab
expect_code 0 "$VMABAK" backup --force -o link.vmab drive.raw
[ -L link.vmab ] || fail "the link was replaced"
expect_code 0 "$VMABAK" verify a.vmab
# One that comes into being meanwhile is not replaced either.
in_background "$VMABAK" backup --rate 10M -o b.vmab drive.raw
wait_until has_part . 1000000
echo other >b.vmab
ended_with 2 $pid
[ "$(cat b.vmab)" = other ] || fail "was replaced"
nothing_but a.vmab b.vmab drive.raw link.vmab
