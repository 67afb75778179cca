# The state of an emulated TPM joins the configs of a backup by libvirt, running or off; only its owner may read what
# is restored of it.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need swtpm swtpm_setup swtpm_localca
need_libvirt

make_random root.raw 1000448
cat >"$lv/tpm.xml" <<END
<domain type='qemu'><name>tpm</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>$(disk raw "$PWD/root.raw" vda)
<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm><memballoon model='none'/></devices></domain>
END
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
as_user swtpm_setup --create-config-files skip-if-exist >/dev/null
sed -i "s,^create_certs_tool *=.*,create_certs_tool = $(command -v swtpm_localca)," "$lv/c/swtpm_setup.conf"
as_user virsh -q define "$lv/tpm.xml"
domain=tpm
uuid=$(as_user virsh -q domuuid tpm)
state=$lv/c/libvirt/qemu/swtpm/$uuid/tpm2/tpm2-00.permall

# It has not been started yet.
expect_code 3 as_user "$vmabak" backup -q libvirt:tpm -o a.vmab
expect_text "$err" 'vtpm is not in the archive' "$uuid/tpm2/tpm2-00.permall"
as_user virsh -q start --paused tpm || fail "start: $(tail -n 5 "$lv"/k/libvirt/qemu/log/*-swtpm.log)"
expect_code 0 as_user "$vmabak" backup -q libvirt:tpm -o b.vmab
nothing_in_libvirt
as_user virsh -q destroy tpm
[ -s "$state" ] || fail "no state: $(find "$lv/c" -name '*permall')"
expect_code 0 as_user "$vmabak" backup -q libvirt:tpm -o c.vmab
for archive in b c; do
	expect_code 0 "$VMABAK" restore -q $archive.vmab -C $archive
	same_file "$state" $archive/vtpm
	[ "$(stat -c %a $archive/vtpm)" = 600 ] || fail "mode $(stat -c %a $archive/vtpm)"
done

# A domain that is defined has it where its TPM will look, also under another name.
as_user virsh -q undefine --tpm tpm 2>/dev/null || as_user virsh -q undefine tpm
cp c/vtpm before
rm -rf "$lv/c/libvirt/qemu/swtpm"
expect_code 0 as_user "$vmabak" restore -q c.vmab --define -C d
same_file before "$state"
expect_code 0 as_user "$vmabak" restore -q c.vmab --define --name copy -C e
copy=$lv/c/libvirt/qemu/swtpm/$(as_user virsh -q domuuid copy)/tpm2/tpm2-00.permall
[ "$copy" != "$state" ] || fail 'the same UUID'
same_file before "$copy"
[ "$(stat -c %a "$copy")" = 600 ] || fail "mode $(stat -c %a "$copy")"
as_user virsh -q start --paused copy || fail "start: $(tail -n 3 "$lv/libvirtd.log")"
as_user virsh -q destroy copy
# Another state is not overwritten.
as_user virsh -q undefine --keep-tpm tpm 2>/dev/null || as_user virsh -q undefine tpm
[ ! -e "$state" ] || expect_error 2 'exists already' as_user "$vmabak" restore -q c.vmab --define -C f

# From libvirt 10.10 on the definition may say where the state is; older ones do not keep that.
place() # TYPE PATH: of the domain's next TPM
{
	sed "s,<name>tpm,<name>$1,; s,version='2.0'/>,version='2.0'><source type='$1' path='$2'/></backend>," "$lv/tpm.xml" >"$lv/$1.xml"
	as_user virsh -q define "$lv/$1.xml"
	as_user virsh -q dumpxml --inactive "$1" >"$lv/now.xml"
	grep -q "path='$2'" "$lv/now.xml" || return 0
	as_user virsh -q start --paused "$1" || fail "start: $(tail -n 5 "$lv"/k/libvirt/qemu/log/*-swtpm.log)"
	as_user virsh -q destroy "$1"
	expect_code 0 as_user "$vmabak" backup -q "libvirt:$1" -o "$1.vmab"
	expect_code 0 "$VMABAK" restore -q "$1.vmab" -C "$1"
	same_file "$3" "$1/vtpm"
	expect_code 0 as_user "$vmabak" restore -q "$1.vmab" --define --name "new$1" -C "new$1"
	as_user virsh -q start --paused "new$1" || fail "start: $(tail -n 5 "$lv"/k/libvirt/qemu/log/*-swtpm.log)"
	as_user virsh -q destroy "new$1"
	echo "tried a TPM's state in a $1"
}
mkdir "$lv/state"
[ "$(id -u)" != 0 ] || chown nobody "$lv/state"
place dir "$lv/state" "$lv/state/tpm2-00.permall"
place file "$lv/state/file" "$lv/state/file"
