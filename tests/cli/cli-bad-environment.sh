# SOURCE_DATE_EPOCH that is no number is refused, not taken for 0.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
for value in yesterday -1 1.5 '' ' 1' 1x 99999999999999999999 9223372037; do
	expect_error 2 "SOURCE_DATE_EPOCH '$value'" \
		env SOURCE_DATE_EPOCH="$value" "$VMABAK" backup -o a.vmab drive.raw
	nothing_but drive.raw
done
expect_code 0 env SOURCE_DATE_EPOCH=1000000000 "$VMABAK" backup -o a.vmab drive.raw
expect_code 0 "$VMABAK" list a.vmab
expect_text "$out" '2001-09-09 01:46:40 UTC'
