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
[ "$(grep -c 'the parent has another token of it' "$err")" = 2 ] || fail "$(cat "$err")"
expect_code 0 "$VMABAK" restore -q swapped.vmab -C back
qemu-img compare -q -f raw -F qcow2 back/disk0.raw b.qcow2 && qemu-img compare -q -f raw -F qcow2 back/disk1.raw a.qcow2 ||
	fail "a drive was taken for the other one"

# Where nothing can record, the backup is as good.
head -c 1048576 some.raw >piped.raw
expect_code 0 sh -c '"$VMABAK" backup --track -o piped.vmab a.qcow2 piped=-,size=1M <piped.raw'
expect_text "$err" 'drive piped: nothing can record its changes'
expect_code 0 "$VMABAK" restore -q piped.vmab -d piped=piped.back
same_file piped.raw piped.back
