# What libvirt says of a domain, and the variables of its firmware, are in the archive of a backup by libvirt;
# those that cannot be read are a warning, and a user's configs of these names come first.
# long: starts a domain
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

truncate -s 4M code.fd
make_random vars.fd 131072
make_random root.raw 1000448
cat >"$lv/uefi.xml" <<END
<domain type='qemu'><name>it's &amp; "odd"</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>$PWD/code.fd</loader>
<nvram>$PWD/vars.fd</nvram></os><features><acpi/></features>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='$PWD/root.raw'/><target dev='vda' bus='virtio'/></disk>
<graphics type='vnc' passwd='hidden'/><memballoon model='none'/></devices></domain>
END
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
domain="it's & \"odd\""
as_user virsh -q define "$lv/uefi.xml"
as_user virsh -q start --paused "$domain" || skip "no machine with such a firmware here: $(tail -n 1 "$lv/libvirtd.log")"
backup() # CODE OPTION...
{
	lib_wanted_here=$1
	shift
	expect_code $lib_wanted_here as_user "$vmabak" backup "libvirt:$domain" "$@"
	nothing_in_libvirt
}

backup 0 -q --freeze-command : --thaw-command : -o a.vmab
expect_code 0 "$VMABAK" restore -q a.vmab -C a
same_file root.raw a/vda.raw
same_file vars.fd a/nvram
grep -q '<nvram[ >]' a/libvirt.xml || fail "$(cat a/libvirt.xml)"
expect_no_text a/libvirt.xml hidden
chmod -R a+rX a
as_user virsh -q define "$PWD/a/libvirt.xml" || fail "it is no description of a domain"

echo mine >mine
backup 0 -q -c libvirt.xml=mine -c nvram=mine -o b.vmab
expect_code 0 "$VMABAK" restore -q b.vmab -C b
same_file mine b/libvirt.xml
same_file mine b/nvram
rm vars.fd
backup 3 -q -o c.vmab
expect_text "$err" "nvram is not in the archive" "vars.fd"
expect_code 0 "$VMABAK" list --json c.vmab
expect_json "$out" "[x['name'] for x in d['configs']] == ['libvirt.xml']"
# What the machine's process may have put there is neither followed nor waited for.
ln -s root.raw vars.fd
backup 3 -q -o d.vmab
expect_text "$err" "nvram is not in the archive" "is a link"
rm vars.fd
mkfifo vars.fd
backup 3 -q -o e.vmab
expect_text "$err" "nvram is not in the archive" "is not a file"
# A machine that is paused has no agent that answers; it has a name that a shell would take apart.
expect_code 1 as_user "$vmabak" backup -q "libvirt:$domain" --quiesce -o f.vmab
expect_text "$err" "--quiesce: domain" "odd\"': freezing its file systems"
nothing_in_libvirt
