# Percents are of the data that there is to do, not of holes; nothing counts that the output has not taken.
. "$(dirname "$0")/lib.sh"

# in_between FILE: percents between 10 and 90 were written.
in_between()
{
	grep -qE '^[1-8][0-9]/100$' "$1"
}

# 8 MB in front of 20 GiB of nothing.
make_random drive.raw 8000000 1
truncate -s 20G drive.raw
expect_code 0 sh -c '"$VMABAK" backup --rate 8M -o a.vmab root=drive.raw --progress-fd 3 3>lines'
in_between lines || fail "backup: $(cat lines)"
for command in 'verify --rate 8M a.vmab' 'restore --rate 8M a.vmab -d root=one.raw' \
	'convert --rate 8M a.vmab -o b.vma'; do
	expect_code 0 sh -c "\"\$VMABAK\" $command --progress-fd 3 3>lines"
	in_between lines || fail "$command: $(cat lines)"
done
zstd -q b.vma
expect_code 0 sh -c '"$VMABAK" verify --rate 8M b.vma.zst --progress-fd 3 3>lines'
in_between lines || fail "verify of a compressed archive: $(cat lines)"

make_random large.raw 40000000 4
expect_code 0 "$VMABAK" backup -o dense.vmab root=large.raw
expect_code 0 sh -c '"$VMABAK" restore --rate 30M dense.vmab -d root=- --progress-fd 3 3>lines >/dev/null'
in_between lines || fail "restore to a pipe: $(cat lines)"
truncate -s 20G large.raw
expect_code 0 "$VMABAK" backup -o large.vmab root=large.raw
expect_code 0 sh -c '"$VMABAK" salvage --rate 30M large.vmab -C saved --progress-fd 3 3>lines'
in_between lines || fail "salvage: $(cat lines)"

# Of the chosen drives alone, by the index.
make_random other.raw 8000000 2
expect_code 0 "$VMABAK" backup -o two.vmab first=other.raw root=drive.raw
expect_code 0 sh -c '"$VMABAK" restore --rate 8M two.vmab -d first=first.raw --progress-fd 3 3>lines'
in_between lines || fail "restore by index: $(cat lines)"
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
