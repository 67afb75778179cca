# Lists that the tools themselves wrote, in the folder VMABAK_CHANGE_LISTS: each says what was changed then.
. "$(dirname "$0")/lib.sh"
lists=${VMABAK_CHANGE_LISTS:-$SRC/../shared/change-lists}
[ -d "$lists" ] || skip "no lists of real tools here (VMABAK_CHANGE_LISTS)"
cp "$lists"/* .
chmod u+w ./*

# says RANGES ARGUMENT...: "OFFSET+LENGTH ..."
says()
{
	lib_ranges=$1
	shift
	expect_code 0 "$VMABAK" changes "$@"
	lib_found=$(grep -v '^#' "$out" | tr ' ' + | tr '\n' ' ')
	[ "$lib_found" = "$lib_ranges " ] || fail "$*: says '$lib_found', not '$lib_ranges '"
}

says '4194304+65536 8388608+65536' nbdinfo-dirty.json --size 16M
says '4194304+65536 8388608+65536' nbdinfo-dirty.txt --size 16M
expect_error 4 'base:allocation' "$VMABAK" changes nbdinfo-base.json
says '65536+131072 524288+65536 1638400+65536' thin_delta-0.9.0-live.xml --size 16M
says '0+524288 589824+65536 1638400+65536' thin_delta-0.9.0.xml --size 16M
says '0+65536 131072+131072 1048576+65536 16384000+65536' era_invalidate-0.9.0.xml,block=64K --size 16M
says '4096+4096 5242880+4096 12582912+4194304 20971520+4608' rbd-diff.json --size 1G
says '4096+512 262144+65536' rbd-diff-v1.bin --size 1M
says '12288+4096 20480+4096 409600+4096' dm-snapshot.cow --size 16M
says '40960+4096 409600+4096 1048576+65536 8388608+4096' btrfs-dump.txt,format=btrfs,path=d.raw --size 16M
says '65536+65536 262144+4096' own.txt
expect_error 4 'say ,format=overlay' "$VMABAK" changes qemu-img-map.json
expect_error 4 'say ,format=ddrescue' "$VMABAK" changes ddrescue.map
expect_error 4 'is compressed' "$VMABAK" changes zfs-i.z.gz
gzip -dc zfs-i.z.gz >zfs-i.z
expect_error 2 'say ,object=N' "$VMABAK" changes zfs-i.z --size 8M
says '2162688+6225920 393216+65536 1048576+65536 2097152+6291456' zfs-i.z,object=5 --size 8M
expect_text "$out" '# since zfs:8527518033413892021/5' '# until zfs:14278999076341652264/5'
