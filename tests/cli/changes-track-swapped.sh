# The bitmap of another drive: images that are named in another order than last time are compared in full.
. "$(dirname "$0")/lib.sh"

need_images
make_random some.raw 4000000 1
qemu-img convert -O qcow2 some.raw a.qcow2
cp a.qcow2 b.qcow2
qemu-io -f qcow2 -c 'write -q -P 7 1M 64k' b.qcow2
expect_code 0 "$VMABAK" backup -q --track -o 0.vmab a.qcow2 b.qcow2
# In the same order they are used; in the other one each drive would get the other's list, on which nothing is.
expect_code 0 "$VMABAK" backup -q --track --parent 0.vmab -o same.vmab --json a.qcow2 b.qcow2
expect_json "$out" "[x['proof']['listed_clusters'] for x in d['drives']] == [0, 0]"
expect_code 0 "$VMABAK" backup --parent same.vmab -o swapped.vmab b.qcow2 a.qcow2
[ "$(grep -c 'the parent has another token of it: it, or a file below it, was replaced or written' "$err")" = 2 ] || fail "$(cat "$err")"
expect_code 0 "$VMABAK" restore -q swapped.vmab -C back
qemu-img compare -q -f raw -F qcow2 back/disk0.raw b.qcow2 && qemu-img compare -q -f raw -F qcow2 back/disk1.raw a.qcow2 ||
	fail "a drive was taken for the other one"

# A bitmap that is gone, of one of them.
expect_code 0 "$VMABAK" backup -q --track --parent swapped.vmab -o both.vmab b.qcow2 a.qcow2
qemu-img convert -O qcow2 b.qcow2 new.qcow2
mv new.qcow2 b.qcow2
expect_code 0 "$VMABAK" backup --parent both.vmab -o gone.vmab b.qcow2 a.qcow2
expect_text "$err" 'drive disk0: all of it is compared: the bitmap of its parent is not in b.qcow2'
[ "$(grep -c 'all of it is compared' "$err")" = 1 ] || fail "$(cat "$err")"
# None was left.
expect_code 0 "$VMABAK" backup --parent gone.vmab -o none.vmab b.qcow2 a.qcow2
expect_no_text "$err" 'all of it is compared'

# Where nothing can record, the backup is as good.
head -c 1048576 some.raw >piped.raw
expect_code 0 sh -c '"$VMABAK" backup --track -o piped.vmab a.qcow2 piped=-,size=1M <piped.raw'
expect_text "$err" 'drive piped: nothing can record its changes'
expect_code 0 "$VMABAK" restore -q piped.vmab -d piped=piped.back
same_file piped.raw piped.back
