# restore --rollback writes only what differs in a file or device that is there, also of a chain: by counts, and by calls.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 6000001 1
dd if=/dev/zero of=disk.raw bs=65536 seek=20 count=30 conv=notrunc status=none
cp disk.raw was.raw
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw
put disk.raw 3500000 x
expect_code 0 "$VMABAK" backup -q --parent 0.vmab -o 1.vmab disk=disk.raw
cp disk.raw wanted.raw

# rolled BYTES ARCHIVE: t.raw becomes wanted.raw by so many bytes.
rolled()
{
	expect_code 0 "$VMABAK" restore --json --rollback "$2" -d disk=t.raw
	expect_json "$out" "d['written_bytes'] == $1"
	same_file t.raw wanted.raw
}
# Nothing differs: nothing is written, and the file is as old as before.
cp wanted.raw t.raw
touch -d '2020-01-01' t.raw
rolled 0 1.vmab
[ "$(stat -c %Y t.raw)" = "$(date -d '2020-01-01' +%s)" ] || fail "touched"
# Data over data, over zeros, zeros over data, and the end: a cluster each.
put t.raw 100000 x
put t.raw 3500000 y
put t.raw 2000000 z
put t.raw 6000000 e
dd if=/dev/zero of=t.raw bs=65536 seek=70 count=1 conv=notrunc status=none
used=$(allocated t.raw)
rolled $((65536 * 4 + 6000001 % 65536)) 1.vmab
[ "$(allocated t.raw)" -ge "$used" ] || fail "made a hole"
# What a cluster held is not in question once it is read; a hole is not filled.
cp --sparse=always wanted.raw t.raw
used=$(allocated t.raw)
rolled 0 1.vmab
[ "$(allocated t.raw)" = "$used" ] || fail "filled a hole"
# Another size.
head -c 3000000 wanted.raw >t.raw
expect_code 0 "$VMABAK" restore --rollback 1.vmab -d disk=t.raw
expect_text "$err" 'MiB written, in'
same_file t.raw wanted.raw
printf '%70000s' x >>t.raw
rolled 0 1.vmab
# By a full archive, a merged one, and those whose data has other checksums or none.
expect_code 0 "$VMABAK" merge -q 1.vmab -o m.vmab
expect_code 0 "$VMABAK" convert -q m.vmab -o m.vma
expect_code 0 "$VMABAK" convert -q m.vmab --no-vma-checksums -o n.vma
truncate -s 6000128 wanted.raw
for archive in m.vma n.vma; do
	cp wanted.raw t.raw
	put t.raw 100000 x
	put t.raw 2000000 z
	rolled 131072 $archive
	rolled 0 $archive
done
cp was.raw wanted.raw
cp disk.raw t.raw
rolled 65536 0.vmab

if (need_strace) >/dev/null; then
	put t.raw 100000 x
	expect_code 0 strace -f -o "$TMPDIR/log" -e trace=pwrite64,fallocate,ftruncate,fsync \
		"$VMABAK" restore -q --rollback 0.vmab -d disk=t.raw
	[ "$(grep -c 'pwrite64(' "$TMPDIR/log")" = 1 ] || fail "writes: $(grep pwrite64 "$TMPDIR/log")"
	grep -q 'fsync(' "$TMPDIR/log" || fail "not synced"
	! grep -e fallocate -e ftruncate "$TMPDIR/log" || fail "changed more"
fi

# What is not there, or has no bytes of its own.
expect_error 2 'that is there' "$VMABAK" restore --rollback 0.vmab -d disk=none.raw
expect_error 2 'that is there' "$VMABAK" restore --rollback 0.vmab -d disk=none.qcow2
expect_error 2 '--rollback' sh -c '"$VMABAK" restore --rollback 0.vmab -d disk=- | cat; exit 2'
# Damage is found before it is written; what was the same is not looked at.
cp 0.vmab bad.vmab
flip bad.vmab 100000
expect_code 0 "$VMABAK" restore -q --rollback bad.vmab -d disk=t.raw
same_file t.raw wanted.raw
put t.raw 100000 x
cp t.raw kept
expect_code 4 "$VMABAK" restore --rollback bad.vmab -d disk=t.raw
same_file t.raw kept

# A device: one cluster of data and one of zeros differ; the rest of the last one is zeroed in any case.
cp disk.raw device.raw
truncate -s 6M device.raw
put device.raw 100000 x
put device.raw 2000000 z
loop_device device.raw
expect_code 0 "$VMABAK" restore --json --rollback m.vmab -d disk="$loop"
expect_json "$out" "65536 < d['written_bytes'] <= 3 * 65536"
head -c 6000001 "$loop" | cmp - disk.raw || fail "the device differs"
