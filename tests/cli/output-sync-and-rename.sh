# A file gets its name only when its data is safe, and then the folder is made safe; --no-sync waits
# for nothing.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 300000 1
# The names of the calls that matter, in order.
calls()
{
	strace -f -qq -o "$TMPDIR/trace" -e trace=fsync,fdatasync,/^rename,/^link "$VMABAK" "$@" 2>"$err" ||
		fail "$(cat "$err")"
	sed -nE 's/^[0-9]+ +(fsync|fdatasync|rename[a-z0-9]*|link[a-z]*)\(.*/\1/p' "$TMPDIR/trace" |
		sed 's/fdatasync/fsync/; s/rename.*/name/; s/link.*/name/' | tr '\n' ' '
}
expect_calls()
{
	[ "$1" = "$2" ] || fail "calls '$1', not '$2'"
}
expect_calls "$(calls backup -o a.vmab drive.raw)" 'fsync name fsync '
expect_calls "$(calls backup --force -o a.vmab drive.raw)" 'fsync name fsync '
expect_calls "$(calls backup --no-sync -o b.vma drive.raw)" 'name '
expect_calls "$(calls convert a.vmab -o c.vma)" 'fsync name fsync '
expect_calls "$(calls restore a.vmab -C d)" 'fsync name fsync '
expect_calls "$(calls restore a.vmab --force -d disk0=d/disk0.raw)" 'fsync '
expect_calls "$(calls restore --no-sync a.vmab -C e)" 'name '

# A sync that fails is a failure, and no archive.
for n in 1 2; do
	expect_code 1 strace -f -qq -o /dev/null -e trace=fsync \
		-e inject=fsync:error=EIO:when=$n "$VMABAK" backup -o f.vmab drive.raw
	expect_text "$err" 'f.vmab: syncing' 'Input/output error'
	[ ! -e f.vmab ] || fail "f.vmab was left"
done

# A drive that is restored is on its way to the disk while the rest of it is still decoded.
make_random large.raw 100000000 2
expect_code 0 "$VMABAK" backup -q --no-sync -o large.vmab large.raw
sent()
{
	strace -f -qq -o "$TMPDIR/trace" -e trace=sync_file_range "$VMABAK" restore -q large.vmab "$@" 2>"$err" ||
		fail "$(cat "$err")"
	grep -c sync_file_range "$TMPDIR/trace" || true
}
n=$(sent -C g)
[ "$n" -ge 2 ] || fail "sent $n times"
n=$(sent --no-sync -C h)
[ "$n" = 0 ] || fail "sent $n times with --no-sync"
