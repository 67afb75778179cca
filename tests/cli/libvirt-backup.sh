# A machine of libvirt writes to a file system and two drives, raw and qcow2; $LIBVIRT_BACKUPS (1) backups of it
# while it does. What is restored is the machine as if its plug had been pulled.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need e2fsck debugfs
need_guest_in_libvirt

make_drives 20975104 12586496
qemu-img convert -f raw -O qcow2 B.raw B.qcow2
truncate -s 64M fs.raw shared.raw read.raw
mkfs.ext4 -q -F fs.raw
start_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk qcow2 "$PWD/B.qcow2" vdc)
	$(disk raw "$PWD/shared.raw" vdd '<shareable/>') $(disk raw "$PWD/read.raw" vde '<readonly/>')
	<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
images=
for n in $(seq "${LIBVIRT_BACKUPS:-1}"); do
	safe=$(guest_files)
	expect_code 0 as_user "$vmabak" backup -q libvirt:web -d vda -d A=vdb -d vdc -c "$lv/web.xml" -o $n.vmab
	nothing_in_libvirt
	before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$before" ]'
	guest_is_well
	expect_code 0 "$VMABAK" restore -q $n.vmab -C $n
	check_file_system $n/vda.raw "$safe"
	images="$images $n/A.raw $n/vdc.raw"
done
# shellcheck disable=SC2086 # a list of names
judge $images || fail "$(cat judgement)"
[ "$(sed -n 's/^ok //p' judgement | sort -nu | wc -l)" = "${LIBVIRT_BACKUPS:-1}" ] ||
	fail "nothing was written: $(cat judgement)"
# The machine can be made again from what is stored of it; what is not to be backed up is not.
grep -q "<name>web</name>" 1/libvirt.xml || fail "$(cat 1/libvirt.xml)"
chmod -R a+rX 1
expect_code 0 as_user virt-xml-validate 1/libvirt.xml domain
expect_code 0 as_user "$vmabak" backup --json libvirt:web --scratch "$lv/tmp" -o all.vmab
expect_json "$out" "d['n_drives'] == 3" "d['n_configs'] == 1" "d['capture']['instant_ms'] < 60000"
nothing_in_libvirt
expect_code 0 "$VMABAK" list --json all.vmab
expect_json "$out" "[x['name'] for x in d['drives']] == ['vda', 'vdb', 'vdc']"
guest_is_well
