# backup --used: what is free in a file system is stored as zeros, and said to be. With a list of changes, what came out of
# use and what came into use count as changed, so that an increment is what a full backup with the same map is.
. "$(dirname "$0")/lib.sh"

cluster=65536
size=$((64 * cluster + 1000))
# map FILE FIRST:N...: these clusters are used, and what is behind the last one.
map()
{
	lib_map=$1 lib_at=0
	shift
	printf '# Mapfile. Created by partclone\n0x00000000 +\n' >"$lib_map"
	for lib_run; do
		[ $((${lib_run%:*} * cluster)) = $lib_at ] ||
			printf '%d %d ?\n' $lib_at $((${lib_run%:*} * cluster - lib_at)) >>"$lib_map"
		printf '%d %d +\n' $((${lib_run%:*} * cluster)) $((${lib_run#*:} * cluster)) >>"$lib_map"
		lib_at=$(((${lib_run%:*} + ${lib_run#*:}) * cluster))
	done
	printf '%d %d ?\n' $lib_at $((64 * cluster - lib_at)) >>"$lib_map"
}
# wanted FILE DRIVE FIRST:N...: the drive with zeros where nothing is used.
wanted()
{
	lib_wanted=$1 lib_drive=$2
	shift 2
	truncate -s 0 "$lib_wanted"
	truncate -s $size "$lib_wanted"
	for lib_run in "$@" 64:1; do
		dd if="$lib_drive" of="$lib_wanted" bs=$cluster skip="${lib_run%:*}" seek="${lib_run%:*}" count="${lib_run#*:}" \
			conv=notrunc status=none
	done
}
check()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	same_file "back/d.raw" "$2"
}

make_random d.raw $size 1
cp d.raw old.raw
map one.map 0:10 20:5 40:1
expect_code 0 "$VMABAK" backup --json -o full.vmab --used d=one.map d=d.raw
expect_json "$out" 'd["data_clusters"] == 17' 'd["drives"][0]["left_out_bytes"] == 48 * 65536'
wanted one.raw d.raw 0:10 20:5 40:1
check full.vmab one.raw
expect_code 0 "$VMABAK" list --json full.vmab
expect_json "$out" 'd["drives"][0]["left_out_bytes"] == 48 * 65536'
expect_code 0 "$VMABAK" list full.vmab
expect_text "$out" 'of free space left out'
expect_code 0 "$VMABAK" backup -o x.vmab --used d=one.map --force d=d.raw
expect_text "$err" 'free space is left out'
expect_code 0 "$VMABAK" verify -q --chain full.vmab

# Written: cluster 3. Freed: 20 and 21. Come into use without being written to: 50 and 51.
put d.raw $((3 * cluster + 5)) changed
printf '# vmabak changes 1\n# size %d\n%d 7\n# end 1\n' $size $((3 * cluster + 5)) >list
map two.map 0:10 22:3 40:1 50:2
wanted two.raw d.raw 0:10 22:3 40:1 50:2
for list in --changed=d=list ''; do
	# shellcheck disable=SC2086 # none or two
	expect_code 0 "$VMABAK" backup --json --force --parent full.vmab --used d=two.map ${list:+$list --since-unchecked} -o inc.vmab d=d.raw
	expect_json "$out" 'd["data_clusters"] == 3' "(d['drives'][0]['proof'] or {'list': 'right'})['list'] == 'right'"
	check inc.vmab two.raw
	expect_code 0 "$VMABAK" merge -q --force inc.vmab full.vmab -o merged.vmab
	check merged.vmab two.raw
	expect_code 0 "$VMABAK" list --json merged.vmab
	expect_json "$out" 'd["drives"][0]["left_out_bytes"] == 48 * 65536'
	expect_code 0 "$VMABAK" backup -q --force --used d=two.map -o new.vmab d=d.raw
	expect_code 0 "$VMABAK" diff new.vmab inc.vmab
done
# Nothing left out any more: what the parent left out is looked at, whatever the list says.
printf '# vmabak changes 1\n# size %d\n# end 0\n' $size >list
expect_code 0 "$VMABAK" backup --json --parent inc.vmab --changed d=list --since-unchecked -o all.vmab d=d.raw
expect_json "$out" 'd["drives"][0]["proof"]["list"] == "right"' 'd["drives"][0]["left_out_bytes"] == 0'
check all.vmab d.raw

# A bmap; holes that the drive has anyway; --no-holes.
cat >d.bmap <<'END'
<?xml version="1.0" ?>
<bmap version="2.0">
    <ImageSize> 4195304 </ImageSize>
    <BlockSize> 4096 </BlockSize>
    <BlocksCount> 1025 </BlocksCount>
    <MappedBlocksCount> 3 </MappedBlocksCount>
    <BlockMap>
        <Range> 0-1 </Range>
        <Range> 1024 </Range>
    </BlockMap>
</bmap>
END
wanted three.raw d.raw 0:1
expect_code 0 "$VMABAK" backup --json --no-holes -o b.vmab --used d=d.bmap d=d.raw
expect_json "$out" 'd["data_clusters"] == 2'
check b.vmab three.raw

# Refused: a map by which nothing is used, of another drive, for VMA, of what cannot be read twice, or that is a list of changes.
: >none.map
map none.map
sed -i '$d' none.map
printf '0 %d ?\n' $size >>none.map
expect_error 4 'nothing is in use' "$VMABAK" backup -o y.vmab --used d=none.map d=d.raw
truncate -s 1M small.raw
expect_error 4 'is of a drive of' "$VMABAK" backup -o y.vmab --used d=d.bmap d=small.raw
expect_error 2 'VMAB can' "$VMABAK" backup -o y.vma --used d=one.map d=d.raw
expect_error 2 'standard input' "$VMABAK" backup -o y.vmab --used d=one.map d=-,size=4M
expect_error 2 'does not tell what is in use' "$VMABAK" backup -o y.vmab --used d=list,format=own d=d.raw
expect_error 2 'it is for --used' "$VMABAK" backup -o y.vmab --parent full.vmab --changed d=d.bmap,format=bmap d=d.raw
expect_error 2 'no drive e' "$VMABAK" backup -o y.vmab --used e=one.map d=d.raw
[ ! -e y.vmab ] && [ ! -e y.vma ] || fail 'an archive was made'

# A journal that is still to be replayed.
need mke2fs debugfs
truncate -s 8M ext.raw
mke2fs -q -t ext4 -F ext.raw
printf '# Mapfile.\n0 +\n0 8388608 +\n' >ext.map
expect_code 0 "$VMABAK" backup -q -o ext.vmab --used e=ext.map e=ext.raw
debugfs -w -R 'feature needs_recovery' ext.raw >/dev/null 2>&1
expect_error 2 'needs recovery' "$VMABAK" backup -o y.vmab --used e=ext.map e=ext.raw
