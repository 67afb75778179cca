# libvirt:DOMAIN of a domain that is off backs up its images, with the command that backs it up when it runs. They
# are locked against a start meanwhile; what cannot be read without the domain is refused.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random root.raw 1000448
make_random base.raw 2097152 2
make_random net.raw 1048576 3
qemu-img create -q -f qcow2 -b base.raw -F raw top.qcow2
qemu-io -f qcow2 -c 'write -q -P 7 65536 65536' top.qcow2
qemu-img convert -f qcow2 -O raw top.qcow2 top.raw
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
serve_net() # an NBD server, until it is killed
{
	as_user qemu-nbd -t -e 20 -f raw -x 'a b' -k "$lv/nbd.sock" "$PWD/net.raw" &
	net=$!
	on_exit "kill $net 2>/dev/null"
	wait_until test -S "$lv/nbd.sock"
}
serve_net

define() # NAME DISKS
{
	cat >"$lv/$1.xml" <<-END
	<domain type='qemu'><name>$1</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
	<os><type arch='x86_64' machine='pc'>hvm</type></os>
	<devices><emulator>$(command -v qemu-system-x86_64)</emulator>$2<memballoon model='none'/></devices></domain>
	END
	as_user virsh -q define "$lv/$1.xml" || fail "define $1: $(tail -n 2 "$lv/libvirtd.log")"
}
network() # PROTOCOL NAME TARGET
{
	echo "<disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='$1' name='$2'>
	<host transport='unix' socket='$lv/nbd.sock'/></source><target dev='$3' bus='virtio'/></disk>"
}
local_disks="$(disk raw "$PWD/root.raw" vda) $(disk qcow2 "$PWD/top.qcow2" vdb)
	<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>"
define web "$local_disks"
domain=web
uuid=$(as_user virsh -q domuuid web)

# backup CODE OPTION...: as every night.
backup()
{
	lib_wanted_here=$1
	shift
	expect_code $lib_wanted_here as_user "$vmabak" backup --scratch "$lv/tmp" "$@"
}
backup 0 --quiesce libvirt:web -o a.vmab
expect_text "$err" "domain 'web' is off"
expect_code 0 "$VMABAK" restore -q a.vmab -C a
same_file root.raw a/vda.raw
same_file top.raw a/vdb.raw
grep -q '<name>web</name>' a/libvirt.xml || fail "$(cat a/libvirt.xml)"
backup 0 -q "libvirt:$uuid" -d root=vda -o b.vmab
expect_code 0 "$VMABAK" list --json b.vmab
expect_json "$out" "[x['name'] for x in d['drives']] == ['root']"

# A start meanwhile fails, and not later.
define lone "$(disk raw "$PWD/root.raw" vda)"
mkfifo "$lv/fifo"
exec 8<>"$lv/fifo"
# stuck NAME: a backup of it is in the midst of reading, at $pid; finished CODE: it goes on, and ends with that.
stuck()
{
	in_background sh -c 'exec "$@" >"$0"' "$lv/fifo" as_user "$vmabak" backup -q --compress none "libvirt:$1" -o -
	wait_until eval 'timeout 5 head -c 1 <&8 >/dev/null'
}
finished()
{
	cat <&8 >/dev/null &
	drain=$!
	on_exit "kill $drain 2>/dev/null"
	ended_with "$1" $pid
	kill $drain
}
stuck lone
! as_user virsh -q start --paused lone 2>"$lv/start" || fail 'it was started meanwhile'
# QEMU may have gone before libvirt has read its words.
grep -qE 'lock|monitor socket' "$lv/start" || fail "was refused with: $(cat "$lv/start")"
finished 0
as_user virsh -q start --paused lone || fail "it cannot be started afterwards: $(tail -n 2 "$lv/libvirtd.log")"
as_user virsh -q destroy lone
as_user virsh -q start --paused web
id=$(as_user virsh -q domid web)
backup 0 -q libvirt:web -o c.vmab
expect_no_text "$err" 'is off'
backup 0 -q "libvirt:$id" -d vda -o d.vmab
# A paused guest cannot be frozen.
backup 1 -q libvirt:web --quiesce -o e.vmab
expect_text "$err" '--quiesce=try'
[ ! -e e.vmab ] || fail 'an archive'
backup 3 -q libvirt:web --quiesce=try -o e.vmab
expect_text "$err" 'not frozen'
[ "$(wc -l <"$err")" = 1 ] || fail "more than one warning: $(cat "$err")"
expect_error 2 'must be one of' as_user "$vmabak" backup libvirt:web --quiesce=perhaps -o f.vmab
nothing_in_libvirt
as_user virsh -q destroy web
expect_error 2 'no domain named' as_user "$vmabak" backup "libvirt:$id" -o f.vmab
expect_code 0 "$VMABAK" restore -q c.vmab -C c
same_file root.raw c/vda.raw
same_file top.raw c/vdb.raw
# Another program writes to an image.
as_user qemu-nbd -t -f raw -k "$lv/other.sock" "$PWD/root.raw" &
other=$!
on_exit "kill $other 2>/dev/null"
wait_until test -S "$lv/other.sock"
expect_error 7 'is in use for writing' as_user "$vmabak" backup -q libvirt:web -o f.vmab
kill $other

# An NBD server knows of no locks: a start is noticed.
define net "$(network nbd 'a b' vda)"
backup 0 -q libvirt:net -o g.vmab
expect_code 0 "$VMABAK" restore -q g.vmab -C g
same_file net.raw g/vda.raw
stuck net
as_user virsh -q start --paused net || fail "start: $(tail -n 2 "$lv/libvirtd.log")"
finished 1
expect_text "$err" "domain 'net': was started while"
as_user virsh -q destroy net

# A volume of a storage pool, where libvirt has that driver.
if as_user virsh -q pool-create-as here dir --target "$PWD" 2>"$lv/pool"; then
	define volume "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>
		<source pool='here' volume='top.qcow2'/><target dev='vda' bus='virtio'/></disk>"
	backup 0 -q libvirt:volume -o v.vmab
	expect_code 0 "$VMABAK" restore -q v.vmab -C v
	same_file top.raw v/vda.raw
else
	expect_text "$lv/pool" 'not supported by the connection driver'
fi

define rbd "$(disk raw "$PWD/root.raw" vda) $(network rbd pool/image vdb | sed "s/transport='unix' socket='[^']*'/name='localhost'/")"
expect_error 2 'drive vdb: is of type network with protocol rbd' as_user "$vmabak" backup libvirt:rbd -o h.vmab
backup 0 -q libvirt:rbd -d vda -o h.vmab
# What the definition says of the backing file counts for the domain, but not for who reads the image.
define cut "$(disk qcow2 "$PWD/top.qcow2" vda '<backingStore/>')"
expect_error 1 'state different backing files' as_user "$vmabak" backup libvirt:cut -o j.vmab
define stated "$(disk qcow2 "$PWD/top.qcow2" vda "<backingStore type='file'><format type='raw'/><source file='$PWD/base.raw'/>
	</backingStore>")"
backup 0 -q libvirt:stated -o j.vmab
define luks "$(disk raw "$PWD/root.raw" vda "<encryption format='luks'><secret type='passphrase' uuid='$uuid'/></encryption>")"
expect_error 2 'is encrypted' as_user "$vmabak" backup libvirt:luks -o i.vmab
