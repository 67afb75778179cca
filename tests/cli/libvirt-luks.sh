# A drive that a domain of libvirt decrypts is in clear in the archive, which is said.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

domain=web
printf secret >key
encrypted qemu-img create -q -f qcow2 --object secret,id=s,file=key \
	-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 root.qcow2 8M
truncate -s 1M data.raw
uuid=01234567-89ab-cdef-0123-456789abcdef
cat >secret.xml <<END
<secret ephemeral='no' private='no'><uuid>$uuid</uuid><usage type='volume'><volume>$PWD/root.qcow2</volume></usage></secret>
END
cat >web.xml <<END
<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='$PWD/root.qcow2'><encryption format='luks'>
<secret type='passphrase' uuid='$uuid'/></encryption></source><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$PWD/data.raw'/><target dev='vdb' bus='virtio'/></disk>
<memballoon model='none'/></devices></domain>
END
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
as_user virsh -q secret-define secret.xml
as_user virsh -q secret-set-value --secret $uuid --file key --plain
as_user virsh -q define web.xml
as_user virsh -q start --paused web || fail "no machine: $(tail -n 3 "$lv/libvirtd.log")"
expect_code 0 as_user "$vmabak" backup libvirt:web -o a.vmab
expect_text "$err" 'but in clear in the archive: vda'
expect_no_text "$err" vdb
nothing_in_libvirt
