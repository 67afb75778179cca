# Percents are of the data that there is to do, not of holes; nothing counts that the output has not taken.
. "$(dirname "$0")/lib.sh"

# Percents between 10 and 90 were written.
in_between()
{
	grep -qE '^[1-8][0-9]/100$' lines
}

# shown SIZE COMMAND...: by a command of vmabak that reads or writes so many MB.
shown()
{
	lib_size=$1
	shift
	slower_until in_between "$lib_size" with_lines "$@"
}

with_lines()
{
	rm -rf saved
	expect_code 0 "$VMABAK" "$@" --progress-fd 3 3>lines
}

# 8 MB in front of 20 GiB of nothing.
make_random drive.raw 8000000 1
truncate -s 20G drive.raw
shown 8 backup --force -o a.vmab root=drive.raw
shown 8 verify a.vmab
shown 8 restore --force a.vmab -d root=one.raw
shown 8 convert --force a.vmab -o b.vma
zstd -q b.vma
shown 8 verify b.vma.zst

make_random large.raw 30000000 4
expect_code 0 "$VMABAK" backup -o dense.vmab root=large.raw
shown 30 restore dense.vmab -d root=-
truncate -s 20G large.raw
expect_code 0 "$VMABAK" backup -o large.vmab root=large.raw
shown 30 salvage large.vmab -C saved

# Of the chosen drives alone, by the index.
make_random other.raw 8000000 2
expect_code 0 "$VMABAK" backup -o two.vmab first=other.raw root=drive.raw
shown 8 restore --force two.vmab -d first=first.raw
expect_code 0 "$VMABAK" restore --json two.vmab -d first=again.raw
expect_json "$out" "8000000 < d['archive_bytes'] < 12000000"

# An output that takes nothing: read to the end, but not done.
make_random small.raw 3000000 3
mkfifo unread
in_background sh -c 'exec "$VMABAK" backup --format vmab -o unread root=small.raw --progress-fd 3 3>early'
exec 4<>unread
wait_until test -s early
sleep 1
kill -USR1 $pid
wait_until test -s "$err"
expect_text "$err" 'unread: root: ' ' done, ' ' left'
! grep -qE '^[1-9][0-9]' early || fail "counted before it was written: $(cat early)"
kill $pid
ended_with 143 $pid
exec 4>&-
