# The definition of a domain in an archive is untrusted: nothing of it that names a file, device or program of this
# host, or weakens its protection, becomes part of the domain. What is left out is said.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random root.raw 1000448
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
# make NAME: NAME.vmab from NAME.xml
make()
{
	expect_code 0 as_user "$vmabak" backup -q -c "libvirt.xml=$1.xml" vda=root.raw,format=raw -o "$1.vmab"
}
cat >evil.xml <<'END'
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>evil</name><uuid>../../../EVIL</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<metadata><EVIL xmlns='x'/></metadata><title>a/b</title>
<memoryBacking><source type='file'/></memoryBacking>
<blkiotune><device><path>/dev/EVIL</path><weight>500</weight></device></blkiotune>
<cputune><shares>500</shares><vcpusched vcpus='0' scheduler='fifo' priority='99'/></cputune>
<sysinfo type='fwcfg'><entry name='opt/x' file='/etc/EVIL'/></sysinfo>
<bootloader>/EVIL</bootloader>
<os><type arch='x86_64' machine='pc'>hvm</type><kernel>/EVIL/kernel</kernel><initrd>/EVIL/initrd</initrd>
<loader readonly='yes' type='pflash'>/usr/share/../EVIL</loader><loader>/EVIL</loader>
<nvram template='/EVIL'>/etc/EVIL</nvram><nvram>/EVIL</nvram><acpi><table type='slic'>/EVIL</table></acpi></os>
<seclabel type='none' model='EVIL'/>
<devices><emulator>/tmp/EVIL</emulator>
<disk type='file' device='disk' rawio='yes'><driver name='EVIL' type='qcow2'/><source file='/EVIL' index='1'><seclabel model='dac' relabel='no'/></source>
<backingStore type='file'><format type='raw'/><source file='/EVIL'/></backingStore><source dev='/dev/EVIL'/><target dev='vda' bus='virtio'/></disk>
<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/EVIL'/><target dev='vdb' bus='virtio'/></disk>
<disk type='file' device='cdrom'><source file='EVIL'/><target dev='sda' bus='sata'/><readonly/></disk>
<filesystem type='mount'><source dir='/EVIL'/><target dir='EVIL'/></filesystem>
<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>
<interface type='bridge'><source bridge='virbr0'/><script path='/EVIL'/><backend tap='/EVIL' vhost='/EVIL'/><target dev='EVIL'/></interface>
<interface type='ethernet'><script path='/EVIL'/></interface>
<interface type='user'><mac address='52:54:00:11:22:34'/></interface>
<serial type='file'><source path='/etc/cron.d/EVIL'/><log file='/etc/EVIL'/></serial>
<console type='pipe'><source path='EVIL'/></console>
<channel type='unix'><source mode='bind' path='/EVIL'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<channel type='tcp'><source mode='connect' host='EVIL' service='1'/><target type='virtio' name='x'/></channel>
<input type='evdev'><source dev='/dev/EVIL'/></input>
<graphics type='vnc' listen='0.0.0.0' port='5999' passwd='EVIL'><listen type='socket' socket='/EVIL'/></graphics>
<graphics type='egl-headless'><gl enable='yes' rendernode='/EVIL'/></graphics>
<video><model type='virtio'><acceleration accel3d='yes' rendernode='/EVIL'/></model></video>
<audio id='1' type='file' path='/EVIL'/>
<rng model='virtio'><backend model='random'>/dev/EVIL</backend></rng>
<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/EVIL'/></backend></tpm>
<shmem name='EVIL'/><memballoon model='none'/>
</devices>
<devices><disk type='file' device='disk'><source file='/EVIL'/><target dev='vdc'/></disk></devices>
<qemu:commandline><qemu:arg value='EVIL'/></qemu:commandline>
</domain>
<?vmabak-drive EVIL=vdb?>
END
make evil
expect_code 3 as_user "$vmabak" restore -q evil.vmab --define -C evil
as_user virsh -q dumpxml --inactive evil >"$lv/evil.now" || fail 'it is not defined'
expect_no_text "$lv/evil.now" EVIL 0.0.0.0 hostdev rawio seclabel fifo commandline fwcfg
expect_text "$lv/evil.now" "<source file='$PWD/evil/vda.raw'/>" "name='qemu' type='raw'" org.qemu.guest_agent.0 \
	"device='cdrom'" '52:54:00:11:22:34' '<shares>500' "<title>a/b</title>" "virbr0"
expect_text "$err" 'qemu:commandline is left out' 'kernel is left out' 'firmware /usr/share/../EVIL is left out' \
	'disk vdb is left out' 'filesystem is left out' 'hostdev is left out' 'serial of type file is a terminal' \
	'emulator /tmp/EVIL is left out' 'metadata is left out' 'graphics listen to this host alone'
same_file root.raw evil/vda.raw

# Warnings have an end.
{
	echo '<domain type="qemu"><name>many</name><memory unit="MiB">64</memory><os><type arch="x86_64">hvm</type></os><devices>'
	seq 1000 | sed 's/.*/<hostdev\/>/'
	echo '</devices></domain>'
} >many.xml
make many
expect_code 3 as_user "$vmabak" restore -q many.vmab --define -C many
expect_text "$err" 'more parts are left out'
[ "$(wc -l <"$err")" -lt 60 ] || fail "$(wc -l <"$err") lines"

# What libvirt itself would have to expand or load is refused before anything is written.
refused() # NAME TEXT
{
	make "$1"
	expect_error 2 "$2" as_user "$vmabak" restore "$1.vmab" --define -C "$1"
	[ ! -e "$1" ] || fail "$1: a folder"
}
echo '<!DOCTYPE domain [<!ENTITY a "EVIL">]><domain><name>&a;</name><devices/></domain>' >entity.xml
refused entity 'has a document type'
echo '<domain><name>a/b</name><devices/></domain>' >name.xml
refused name 'no usable name'
echo '<network><name>a</name></network>' >network.xml
refused network 'no domain'
{
	echo '<domain type="qemu"><name>big</name><devices>'
	seq 200000 | sed 's/.*/<disk\/>/'
	echo '</devices></domain>'
} >big.xml
refused big 'too large'
head -c 200000 /dev/zero | tr '\0' '<' >garbage.xml
refused garbage 'is no XML'
