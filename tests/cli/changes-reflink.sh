# ,reflink-of=OLD: what a raw image shares with an older copy of itself need not be read; on xfs and btrfs, with holes,
# unwritten parts, compression, and a copy that was changed or does not belong to the parent.
. "$(dirname "$0")/lib.sh"
need_root
need mount

# On the file system that is mounted here.
try()
{
	make_random old.raw 9000000 "$1"
	truncate -s 20000001 old.raw
	fallocate -o 12000000 -l 300000 old.raw 2>/dev/null || true
	expect_code 0 "$VMABAK" backup -q --track -o 0.vmab r=old.raw
	cp --reflink=always old.raw new.raw
	put new.raw 5 changed
	put new.raw 4000000 changed
	put new.raw 12100000 changed
	put new.raw 20000000 x
	fallocate -p -o 6000000 -l 1000000 new.raw
	expect_code 0 "$VMABAK" backup --json --parent 0.vmab -o 1.vmab r=new.raw,reflink-of=old.raw
	expect_json "$out" 'd["drives"][0]["proof"]["list"] == "right"' "d['drives'][0]['proof']['listed_clusters'] < $2"
	expect_code 0 "$VMABAK" restore -q --force 1.vmab -C back
	same_file back/r.raw new.raw
	# Grown, and the third of a chain.
	cp --reflink=always new.raw third.raw
	truncate -s 21000000 third.raw
	put third.raw 20900000 changed
	put third.raw 8000000 changed
	expect_code 0 "$VMABAK" backup -q --parent 1.vmab -o 2.vmab r=third.raw,reflink-of=new.raw
	expect_code 0 "$VMABAK" restore -q --force 2.vmab -C back
	same_file back/r.raw third.raw
	# The parts of one file in another order.
	cp --reflink=always third.raw swapped.raw
	"$PYTHON" - <<'END'
import fcntl, os, struct
old, new = os.open("third.raw", os.O_RDONLY), os.open("swapped.raw", os.O_RDWR)
fcntl.ioctl(new, 0x4020940d, struct.pack("qQQQ", old, 1 << 20, 1 << 20, 0))
END
	expect_code 0 "$VMABAK" backup -q --parent 2.vmab -o 3.vmab r=swapped.raw,reflink-of=third.raw
	expect_code 0 "$VMABAK" restore -q --force 3.vmab -C back
	same_file back/r.raw swapped.raw
	# Not as the parent has it any more.
	put third.raw 100 later
	expect_error 2 "but the parent shows" "$VMABAK" backup --parent 2.vmab -o x.vmab r=swapped.raw,reflink-of=third.raw
	# Without a reflink all differs.
	cp --reflink=never swapped.raw copy.raw
	expect_code 0 "$VMABAK" backup --json --parent 3.vmab -o 4.vmab r=copy.raw,reflink-of=swapped.raw
	expect_json "$out" 'd["data_clusters"] == 0' 'd["drives"][0]["proof"]["listed_clusters"] > 100'
	expect_error 2 "is the same file" "$VMABAK" backup --parent 3.vmab -o x.vmab r=copy.raw,reflink-of=./copy.raw
}

# A file system without reflinks.
make_full a.raw 100000
cp a.raw /dev/shm/vmabak-$$.raw
on_exit "rm -f /dev/shm/vmabak-$$.raw"
expect_code 0 "$VMABAK" backup -q -o a.vmab r=a.raw
[ "$(stat -f -c %T /dev/shm)" != tmpfs ] ||
	expect_error 2 "not on xfs or btrfs" "$VMABAK" backup --parent a.vmab -o x.vmab r=a.raw,reflink-of=/dev/shm/vmabak-$$.raw

tried=
mkdir at
for kind in xfs btrfs btrfs-zstd; do
	rm -f disk
	truncate -s 400M disk
	mkfs."${kind%-*}" -q -f disk >/dev/null 2>&1 || continue
	options=loop limit=40
	[ $kind != btrfs-zstd ] || { options=loop,compress-force=zstd; limit=400; }
	mount -o $options disk at 2>/dev/null || continue
	on_exit "umount '$PWD/at' 2>/dev/null"
	cd at
	try $kind $limit
	cd ..
	umount at
	tried=yes
done
[ -n "$tried" ] || skip "neither xfs nor btrfs can be mounted here"
