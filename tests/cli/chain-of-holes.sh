# Large holes cost next to nothing in increments, sums and diff; what is made of sums for a moment has no name.
. "$(dirname "$0")/lib.sh"

need_strace
truncate -s 2T disk.raw || skip "no files of 2 TiB here"
put disk.raw 1000000000000 x
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw
put disk.raw 1500000000000 y

# few LOG: how often sums were read.
few()
{
	n=$(grep -c 'pread64(.*, 4096, ' "$1" || true)
	[ "$n" -lt 100 ] || fail "$n reads: $2"
	! grep 'openat.*\.part"' "$1" | grep -F "$TMPDIR" || fail "a scratch file with a name: $2"
}
expect_code 0 strace -f -o "$TMPDIR/log" -e trace=pread64,openat "$VMABAK" backup -q --parent 0.vmab -o 1.vmab disk=disk.raw
few "$TMPDIR/log" backup
[ "$(size_of 1.vmab)" -lt 10000 ] || fail "the increment has $(size_of 1.vmab) bytes"
expect_code 4 strace -f -o "$TMPDIR/log" -e trace=pread64,openat "$VMABAK" diff 0.vmab 1.vmab
few "$TMPDIR/log" diff
expect_text "$out" " 1499999961088 " " 65536"
[ "$(wc -l <"$out")" = 2 ] || fail "$(cat "$out")"
expect_code 0 "$VMABAK" restore -q 1.vmab -C back
expect_code 0 "$VMABAK" backup -q -o 2.vmab disk=back/disk.raw
expect_code 0 "$VMABAK" diff 1.vmab 2.vmab
