# A rate may be another one by hours of the day; what was reached is told.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 3000320 1
# One that held by another hour would take an hour.
all_day='0@00:00-24:00,1K'
expect_code 0 timeout 60 "$VMABAK" backup -o a.vmab --rate "$all_day" drive.raw
grep -qE 'written at [0-9.]+ ([KMG]iB|B)/s, ' "$err" || fail "$(cat "$err")"
expect_code 0 timeout 60 "$VMABAK" restore --rate "$all_day" a.vmab -C back
same_file drive.raw back/disk0.raw
expect_code 0 timeout 60 "$VMABAK" verify --rate "$all_day" a.vmab
expect_code 0 timeout 60 "$VMABAK" convert --rate "$all_day" --json a.vmab -o b.vma
"$PYTHON" -c 'import json, sys
found = json.load(open(sys.argv[1]))
assert found["written_bytes_per_s"] * found["duration_s"] <= found["written_bytes"] * 1.001, found
assert found["written_bytes_per_s"] > 0' "$out"
expect_code 0 "$VMABAK" backup -o c.vmab drive.raw
expect_no_text "$err" '/s, '

# The other way around it is held, whatever the hour is.
expect_code 124 timeout 1 "$VMABAK" backup -o d.vmab --rate '1K@00:00-24:00,0' drive.raw

expect_error 2 "--rate '20M@08:00-18:00': not a rate such as 10M" "$VMABAK" backup -o d.vmab --rate 20M@08:00-18:00 drive.raw
expect_error 2 'nor a schedule such as 20M@08:00-18:00,0' "$VMABAK" verify --rate 5M@25:00-18:00,0 a.vmab
