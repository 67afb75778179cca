# A drive of 64 TiB that is almost all holes: seconds, and 64 MiB of memory beside its map.
. "$(dirname "$0")/lib.sh"

# ext4 ends at 16 TiB; tmpfs does not.
here=$(mktemp -d /dev/shm/vmabak.XXXXXX 2>/dev/null) || skip "no /dev/shm"
on_exit "rm -rf $here"
cd "$here"
truncate -s 64T drive.raw 2>/dev/null || skip "no files of 64 TiB here"
make_random some.bin 3000000 1
for at in 0 7 200000000 17000000000; do
	dd if=some.bin of=drive.raw bs=4096 seek=$at conv=notrunc status=none
done
put drive.raw 70368744177663 x

# One bit for each of 2^30 clusters: 128 MiB.
measured()
{
	expect_code 0 "$PYTHON" "$CLI/measure.py" --processor 10 --memory $((64 + 128)) \
		"$VMABAK" "$@"
}
measured backup -o a.vmab drive.raw
[ "$(size_of a.vmab)" -lt 13000000 ] || fail "the archive has $(size_of a.vmab) bytes"
measured list a.vmab
expect_text "$out" 70368744177664 '64.0 TiB'
measured verify --json a.vmab
expect_json "$out" "d['archives'][0]['drives_bytes'] == 1 << 46 and d['archives'][0]['data_clusters'] + d['archives'][0]['zero_clusters'] == 1 << 30"
measured verify --quick a.vmab
measured restore a.vmab -C back
measured convert a.vmab -o b.vmab
measured verify b.vmab
[ "$(size_of back/disk0.raw)" = 70368744177664 ] || fail "$(size_of back/disk0.raw) bytes"
[ "$(allocated back/disk0.raw)" -le "$(allocated drive.raw)" ] || fail "$(allocated back/disk0.raw) KiB"
for at in 0 7 200000000 17000000000; do
	dd if=back/disk0.raw bs=4096 skip=$at count=733 status=none >part
	dd if=drive.raw bs=4096 skip=$at count=733 status=none | cmp - part || fail "differs at $at"
done
[ "$(tail -c 1 back/disk0.raw)" = x ] || fail "the last byte differs"
