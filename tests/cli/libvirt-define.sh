# restore --define puts a domain back: with the restored drives in their formats and the firmware's variables, under
# its own name or another; never in the place of another domain.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
firmware=/usr/share/OVMF/OVMF_CODE_4M.fd
[ -f $firmware ] || lacks "$firmware"

make_random root.raw 1000448
make_random data.raw 2097152 2
qemu-img convert -f raw -O qcow2 data.raw data.qcow2
cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd
put vars.fd 100000 'a mark of this machine'
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
cat >"$lv/web.xml" <<END
<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<metadata><l:libosinfo xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'><l:os id='http://debian.org/debian/12'/></l:libosinfo></metadata>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>$firmware</loader>
<nvram>$PWD/vars.fd</nvram></os><features><acpi/></features>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>$(disk raw "$PWD/root.raw" vda)
$(disk qcow2 "$PWD/data.qcow2" vdb '<serial>abc</serial>')
<disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
<interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<graphics type='vnc' autoport='yes' listen='127.0.0.1'/><memballoon model='none'/></devices></domain>
END
as_user virsh -q define "$lv/web.xml"
uuid=$(as_user virsh -q domuuid web)
expect_code 0 as_user "$vmabak" backup -q libvirt:web -d root=vda -d vdb -o web.vmab

# value NAME XPATH: of its definition.
value()
{
	as_user virsh -q dumpxml --inactive "$1" >"$lv/now.xml"
	xmllint --xpath "string($2)" "$lv/now.xml"
}
same() # WHAT WANTED FOUND
{
	[ "$2" = "$3" ] || fail "$1: '$3', not '$2': $(cat "$lv/now.xml")"
}
need xmllint
restore="as_user $vmabak restore web.vmab"

expect_error 2 'exists already' $restore --define -C a
[ ! -e a ] || fail 'a folder'
expect_error 2 '--name is for --define' $restore --name b -C a
expect_error 2 'exclude each other' $restore --define --no-configs -C a
expect_error 2 'not usable as the name' $restore --define --name a/b -C a

# Another one.
expect_code 0 $restore --json --define --name copy -C copy -d root -d "vdb=copy/data.qcow2"
expect_json "$out" "d['domain']['name'] == 'copy'" "d['domain']['uuid'] != '$uuid'"
same root "$PWD/copy/root.raw" "$(value copy "//disk[target/@dev='vda']/source/@file")"
same 'format of root' raw "$(value copy "//disk[target/@dev='vda']/driver/@type")"
same data "$PWD/copy/data.qcow2" "$(value copy "//disk[target/@dev='vdb']/source/@file")"
same 'format of data' qcow2 "$(value copy "//disk[target/@dev='vdb']/driver/@type")"
same serial abc "$(value copy "//disk[target/@dev='vdb']/serial")"
same cdrom cdrom "$(value copy "//disk[target/@dev='sda']/@device")"
same variables "$PWD/copy/nvram" "$(value copy //nvram)"
same firmware $firmware "$(value copy //loader)"
[ "$(value copy //mac/@address)" != 52:54:00:11:22:33 ] || fail 'the same MAC address'
[ "$(stat -c %a copy)" = 711 ] || fail "mode of the folder: $(stat -c %a copy)"
same_file vars.fd copy/nvram
same_file root.raw copy/root.raw
as_user virsh -q start --paused copy || fail "start: $(tail -n 3 "$lv/libvirtd.log")"
as_user virsh -q start --paused web || fail "start: $(tail -n 3 "$lv/libvirtd.log")"
expect_error 7 "domain 'web' is running" $restore --define --force -C a
as_user virsh -q destroy copy
as_user virsh -q destroy web

# The same one, in the place of a definition that has been changed, and after it is gone.
as_user virsh -q setmaxmem web 128M --config
expect_code 0 $restore -q --define --force -C b
same memory 65536 "$(value web //memory)"
same uuid "$uuid" "$(value web //domain/uuid)"
same root "$PWD/b/root.raw" "$(value web "//disk[target/@dev='vda']/source/@file")"
as_user virsh -q undefine --keep-nvram web
expect_code 0 $restore --define -C c
expect_text "$err" "domain 'web' is defined"
same uuid "$uuid" "$(value web //domain/uuid)"
same address 52:54:00:11:22:33 "$(value web //mac/@address)"
expect_code 0 as_user "$vmabak" backup -q libvirt:web -o again.vmab

# A drive that is not restored is no part of it.
expect_code 3 $restore -q --define --name half -C d -d root
expect_text "$err" 'disk vdb is left out'
same vdb '' "$(value half "//disk[target/@dev='vdb']/@device")"

# An archive without a definition.
expect_code 0 as_user "$vmabak" backup -q vda=root.raw,format=raw -o plain.vmab
expect_error 2 'no libvirt.xml' as_user "$vmabak" restore plain.vmab --define -C e
[ ! -e e ] || fail 'a folder'
