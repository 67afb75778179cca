# Lists of device mapper's tools that are in order and wrong: the id of a thin snapshot was taken again, and an era that a
# crash kept out of the metadata. The tools themselves make metadata and lists; no device is needed.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"
need thin_restore thin_delta era_restore era_invalidate

uuid=01234567-89ab-cdef-0123-45678900000
make_random root.raw $((8 << 20)) 1
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}0 --token root=thin:vm/2/1 -o 0.vmab root=root.raw
# lie NAME TEXT [OPTION]...: without a word about its beginning the list NAME is refused, and otherwise found out.
lie()
{
	lib_name=$1
	shift
	expect_error 2 'does not say since when it is' "$VMABAK" backup --parent 0.vmab --changed "root=$lib_name" -o x.vmab root=root.raw
	expect_code 3 "$VMABAK" backup --since-unchecked --uuid ${uuid}1 --parent 0.vmab --changed "root=$lib_name" -o "$lib_name.vmab" root=root.raw
	expect_found "$lib_name.vmab" neighbours samples audit
	same_instant "$lib_name.vmab" root
}

# Volume 1, and its snapshot 2 of the parent's instant. The volume is written to; the snapshot is removed, and a new one is made,
# which gets the id 2 again; another write. Only that one is between what the tool compares.
device()
{
	echo "<device dev_id=\"$1\" mapped_blocks=\"128\" transaction=\"1\" creation_time=\"$2\" snap_time=\"$2\">"
	shift 2
	lib_from=0
	for lib_block in "$@" 128; do
		[ "$lib_block" = $lib_from ] ||
			echo "<range_mapping origin_begin=\"$lib_from\" data_begin=\"$lib_from\" length=\"$((lib_block - lib_from))\" time=\"0\"/>"
		[ "$lib_block" = 128 ] || echo "<single_mapping origin_block=\"$lib_block\" data_block=\"$((lib_block + 200))\" time=\"1\"/>"
		lib_from=$((lib_block + 1))
	done
	echo '</device>'
}
for block in 10 70; do put root.raw $((block * 65536)) "block $block"; done
{
	echo '<superblock uuid="" time="3" transaction="3" data_block_size="128" nr_data_blocks="1000">'
	device 1 0 10 70
	device 2 3 10
	echo '</superblock>'
} >thin.xml
truncate -s 4M thin.meta
thin_restore -i thin.xml -o thin.meta >/dev/null
thin_delta --snap1 2 --snap2 1 thin.meta >thin
expect_code 0 "$VMABAK" changes thin --size 8M
[ "$(grep '^[0-9]' "$out")" = "$((70 * 65536)) 65536" ] || fail "thin_delta: $(cat thin)"
lie thin
# By its token, which has the time of the snapshot, it is refused.
list named $((8 << 20)) thin:vm/2/3 - $((70 * 65536)) 65536
expect_error 2 "is since 'thin:vm/2/3', but the parent shows 'thin:vm/2/1'" \
	"$VMABAK" backup --parent 0.vmab --changed root=named -o x.vmab root=root.raw

# Of what was written in era 3, when the crash came, nothing is in the metadata.
{
	echo '<superblock uuid="" block_size="128" nr_blocks="128" current_era="3">'
	echo '<writeset era="2" nr_bits="128"><bit block="10" value="true"/></writeset><era_array>'
	for block in $(seq 0 127); do echo "<era block=\"$block\" era=\"1\"/>"; done
	echo '</era_array></superblock>'
} >era.xml
head -c 4194304 /dev/zero >era.meta
era_restore -i era.xml -o era.meta >/dev/null
era_invalidate --written-since 2 era.meta >era
if grep -q 'block=\|begin=' era; then
	expect_code 0 "$VMABAK" changes era,block=64K --size 8M
	[ "$(grep '^[0-9]' "$out")" = "$((10 * 65536)) 65536" ] || fail "era_invalidate: $(cat era)"
	lie era,block=64K
else
	# That of Debian 13 prints nothing as long as an era waits to be digested.
	expect_error 4 'names no block' "$VMABAK" backup --since-unchecked --parent 0.vmab --changed root=era,block=64K -o x.vmab root=root.raw
fi
