# Two archives, an archive and a drive, two drives; what differs as a list of changes.
. "$(dirname "$0")/lib.sh"

make_random old.raw 3000000 1
truncate -s 20M old.raw
cp old.raw new.raw
printf x | dd of=new.raw bs=1 seek=1000000 conv=notrunc 2>/dev/null
printf x | dd of=new.raw bs=1 seek=10000000 conv=notrunc 2>/dev/null
truncate -s 21000001 new.raw
expect_code 0 "$VMABAK" backup -q -o old.vmab root=old.raw data=old.raw

# The same three ranges, whatever stands on either side.
cat >wanted <<END
              983040                65536
             9961472                65536
            20971520                28481
END
differ()
{
	expect_code 4 "$VMABAK" diff "$@"
	sed 1d "$out" | cmp - wanted || fail "diff $*: $(cat "$out")"
}
differ root=old.raw root=new.raw
differ old.vmab root=new.raw
differ root=new.raw old.vmab
differ any=old.raw other=new.raw --map web.changes
for same in 'root=old.raw old.vmab' 'old.vmab data=old.raw' 'a=old.raw b=old.raw'; do
	expect_code 0 "$VMABAK" diff $same --map "same.changes"
	[ "$(tail -n 1 same.changes)" = '# end 0' ] || fail "$same: $(cat same.changes)"
	rm same.changes
done

# The list is one that an increment can be made by.
expect_code 0 "$VMABAK" backup -q -o new.vmab --parent old.vmab root=new.raw data=old.raw \
	--changed root=web.changes --since-unchecked
expect_code 0 "$VMABAK" diff new.vmab root=new.raw
expect_code 0 "$VMABAK" restore -q new.vmab -C out
cmp out/root.raw new.raw || fail 'restored by the list'

# Lists of several drives go to a folder; none is ever replaced, and none is left half-made.
expect_code 2 "$VMABAK" diff old.vmab new.vmab --map lists
expect_text "$err" 'several drives are compared'
mkdir lists
expect_code 4 "$VMABAK" diff old.vmab new.vmab --map lists
[ "$(ls lists)" = 'data.changes
root.changes' ] || fail "lists: $(ls -A lists)"
cmp lists/root.changes web.changes
expect_code 2 "$VMABAK" diff old.vmab new.vmab --map lists
expect_text "$err" 'exists already'
# A drive that became smaller: its list ends with it.
expect_code 4 "$VMABAK" diff new.vmab root=old.raw --map less.changes
expect_code 0 "$VMABAK" changes less.changes --size 20M
cp old.raw short.raw
truncate -s 20971000 short.raw
printf x | dd of=short.raw bs=1 seek=20970000 conv=notrunc 2>/dev/null
expect_code 4 "$VMABAK" diff old.vmab root=short.raw --map short.changes
expect_code 0 "$VMABAK" changes short.changes --size 20971000
expect_code 6 sh -c 'ulimit -f 0; exec "$@"' sh "$VMABAK" diff -q a=old.raw b=new.raw --map full.changes
[ ! -e full.changes ] || fail 'a list that did not fit is there'

# What is no drive, or none of the archive's.
expect_error 2 "no such drive in the archive; it holds root, data" "$VMABAK" diff x=old.raw old.vmab
expect_error 2 'are for drives of a backup' "$VMABAK" diff root=old.raw,bitmap=b old.vmab
expect_error 2 'standard input cannot be compared' "$VMABAK" diff root=- old.vmab
expect_error 1 'No such file' "$VMABAK" diff root=absent.raw old.vmab
if command -v qemu-img >/dev/null && "$VMABAK" --version | grep -q libnbd=yes; then
	qemu-img convert -f raw -O qcow2 old.raw old.qcow2
	expect_code 0 "$VMABAK" diff old.vmab root=old.qcow2
fi
