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
cp "$CLI/hostile-domain.xml" evil.xml
make evil
expect_code 3 as_user "$vmabak" restore -q evil.vmab --define -C evil
as_user virsh -q dumpxml --inactive evil >"$lv/evil.now" || fail 'it is not defined'
expect_no_text "$lv/evil.now" EVIL 0.0.0.0 hostdev rawio seclabel fifo commandline fwcfg
expect_text "$lv/evil.now" "<source file='$PWD/evil/vda.raw'/>" "name='qemu' type='raw'" org.qemu.guest_agent.0 \
	"device='cdrom'" '52:54:00:11:22:34' '<shares>500' "<title>a/b</title>" "virbr0"
expect_text "$err" 'qemu:commandline is left out' 'kernel is left out' 'launchSecurity is left out' 'firmware /usr/share/../EVIL is left out' \
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
