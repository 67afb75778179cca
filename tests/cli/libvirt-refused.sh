# A backup by libvirt that cannot be made is refused, why is said, and nothing of it is left. The job of another program is
# left alone.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random fs.raw 4194304 1
make_random A.raw 20975104 2
make_random B.raw 12586496 3
idle_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"
domain_xml off "$(disk raw "$PWD/fs.raw" vda)" >"$lv/off.xml"
as_user virsh -q define "$lv/off.xml"

backup="as_user $vmabak backup libvirt:web"

# Somebody else's job is not touched.
echo "<domainbackup mode='pull'><server transport='unix' socket='$lv/other.sock'/></domainbackup>" >"$lv/pull.xml"
as_user virsh -q backup-begin web "$lv/pull.xml" >/dev/null
expect_error 7 'another program' $backup -o b.vmab
backup_runs || fail 'a job of another program was ended'
as_user virsh -q domjobabort web
wait_until eval '! backup_runs'

expect_error 2 'no domain named' as_user "$vmabak" backup libvirt:nobody -o b.vmab
expect_error 7 "$PWD/fs.raw: is in use for writing" as_user "$vmabak" backup libvirt:off -o b.vmab
expect_error 2 'no such disk, but vda, vdb, vdc' $backup -d vdx -o b.vmab
expect_error 2 'named twice' $backup -d vda -d x=vda -o b.vmab
expect_error 2 'is taken already' $backup -d x=vda -d x=vdb -o b.vmab
expect_error 1 'on another host' $backup --connect qemu+ssh://example.org/system -o b.vmab
expect_error 1 'libvirt at' $backup --connect nosuch:///system -o b.vmab
expect_code 1 $backup --quiesce -o b.vmab
expect_text "$err" 'agent' '--quiesce: '
expect_code 3 $backup -q --quiesce=try -d vdb -o b.vmab
expect_text "$err" 'not frozen'
rm b.vmab
expect_error 2 'is the output itself' $backup --force -o A.raw --format vmab
nothing_in_libvirt
domain_is_well
[ -z "$(ls -A | grep -F .vma)" ] || fail "left: $(ls -A)"
