# restore --live libvirt:DOMAIN defines a domain by its archive, starts it from the exports, and ends with a domain that uses the new files, both as
# it runs and by its definition. The process of the restore is killed meanwhile: nothing that the guest wrote is lost. A domain that is in the way
# is refused before anything is made.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
need qemu-io xmllint
firmware=/usr/share/OVMF/OVMF_CODE_4M.fd
[ -f $firmware ] || lacks "$firmware"

make_random root.raw 3000320
make_random data.raw 1000448 2
truncate -s 60M data.raw
cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd
put vars.fd 100000 'a mark of this machine'
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
cat >"$lv/web.xml" <<END
<domain type='qemu'><name>web</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>$firmware</loader>
<nvram>$PWD/vars.fd</nvram></os><features><acpi/></features>
<devices><emulator>$(command -v qemu-system-x86_64)</emulator>$(disk raw "$PWD/root.raw" vda)
$(disk raw "$PWD/data.raw" vdb '<serial>abc</serial>')<memballoon model='none'/></devices></domain>
END
as_user virsh -q define "$lv/web.xml"
uuid=$(as_user virsh -q domuuid web)
expect_code 0 as_user "$vmabak" backup -q libvirt:web -d root=vda -d vdb -o web.vmab
as_user virsh -q undefine --keep-nvram web
cp root.raw want.root
cp data.raw want.vdb
rm root.raw data.raw

# begin DOMAIN [OPTION]...
begin()
{
	domain=$1
	shift
	as_user "$vmabak" restore web.vmab --live "libvirt:$domain" -C new "$@" 2>>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
}
# value [OPTION] XPATH: of the definition, as it runs unless with --inactive.
value()
{
	lib_option=
	[ "$1" != --inactive ] || { lib_option=$1; shift; }
	as_user virsh -q dumpxml $lib_option "$domain" >"$lv/now.xml" 2>&1 || return 1
	xmllint --xpath "string($1)" "$lv/now.xml"
}
runs()
{
	[ "$(as_user virsh -q domstate "$domain" 2>/dev/null)" = "${1:-running}" ] && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
# writes N PATTERN AT BYTES: of the guest, to the N-th disk, and to what is wanted.
writes()
{
	domain_writes "$1" "$2" "$3" "$4"
	qemu-io -f raw -c "write -q -P $2 $3 $4" "want.$([ "$1" = 0 ] && echo root || echo vdb)" || fail want
}
same() # WHAT WANTED FOUND
{
	[ "$2" = "$3" ] || fail "$1: '$3', not '$2': $(cat "$lv/now.xml")"
}

# Refused, with nothing made.
restore="as_user $vmabak restore web.vmab --live"
expect_error 2 'must be any' $restore libvirt: -C new
expect_error 2 'one --nbd unix:PATH' $restore libvirt:web -C new --nbd 127.0.0.1:1
expect_error 2 'does not go with --force' $restore any -C new --nbd unix:a --force
rm -rf new
idle_domain other "$(disk raw "$PWD/want.vdb" vda)"
expect_error 7 'runs already, and not from the exports' $restore libvirt:other -C new
as_user virsh -q destroy other
expect_error 2 "another domain is called 'other'" $restore libvirt:other -C new
[ -z "$(ls -A new)" ] || fail "made: $(ls -A new)"

# Slowly, killed, and again.
begin web --rate 1
wait_until runs
same 'UUID' "$uuid" "$(value //domain/uuid)"
same 'root' root "$(value "//disk[target/@dev='vda']/source/@name")"
same 'serial' abc "$(value "//disk[target/@dev='vdb']/serial")"
same 'socket' "$PWD/new/web.nbd" "$(value "//disk[target/@dev='vda']/source/host/@socket")"
same 'firmware' "$PWD/new/nvram" "$(value //nvram)"
same_file vars.fd new/nvram
writes 0 1 1000 5000
writes 1 2 50000000 70000
[ "$(stat -c %a new)" = 711 ] || fail "mode of the folder: $(stat -c %a new)"
kill -9 $live
wait $live 2>/dev/null || :
ls new >found
expect_text found root.raw root.raw.live vdb.raw vdb.raw.live
begin web --rate 1
wait_until runs
# The job has ended by an error, and another one begins once QEMU has connected again.
copies_again()
{
	for lib_number in 0 1; do
		: >"$lv/k/libvirt/qemu/log/web.log"
		as_user virsh -q qemu-monitor-command web --hmp "qemu-io -d /machine/peripheral/virtio-disk$lib_number/virtio-backend \"read 0 512\"" >"$lv/io" 2>&1
		grep -q '^read 512/512' "$lv/k/libvirt/qemu/log/web.log" || return 1
	done
	as_user virsh -q blockjob web vda --info >"$lv/job" 2>&1 && grep -q Copy "$lv/job" && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
wait_until copies_again
writes 0 3 2000000 70000
kill $live
ended_with 1 $live
expect_text live.err 'ended before the machine had moved; the same command goes on'
begin web
ended_with 0 $live
expect_text live.err "drive root: the machine runs from $PWD/new/root.raw" 'and the machine moved, in'
[ "$(ls new | tr '\n' ' ')" = 'nvram root.raw vdb.raw ' ] || fail "left: $(ls new)"
for option in '' --inactive; do
	same "root $option" "$PWD/new/root.raw" "$(value $option "//disk[target/@dev='vda']/source/@file")"
	same "vdb $option" "$PWD/new/vdb.raw" "$(value $option "//disk[target/@dev='vdb']/source/@file")"
done
as_user virsh -q domblklist web >blocks
expect_no_text blocks nbd
runs || fail 'it stands still'
writes 0 4 700000 3000
writes 1 5 20000000 4096
expect_error 2 'exists already' $restore libvirt:web -C new
as_user virsh -q destroy web
same_file want.root new/root.raw
same_file want.vdb new/vdb.raw
# The copy of a newer QEMU (seen with 10.0) writes zeros.
case $(qemu-img --version) in
*'version 7.'*) [ "$(stat -c %b new/vdb.raw)" -lt 8000 ] || fail 'it is not sparse' ;;
esac
as_user virsh -q start --paused web || fail "start: $(tail -n 3 "$lv/libvirtd.log")"
as_user virsh -q destroy web

# A domain that is off is replaced if that is said; another one has a new UUID.
expect_error 2 '--force replaces' $restore libvirt:web -C again
[ -z "$(ls -A again)" ] || fail "made: $(ls -A again)"
expect_code 0 $restore libvirt:web -C again --force --json
expect_json "$out" "d['written_bytes'] >= 0" "len(d['drives']) == 2"
same "again" "$PWD/again/root.raw" "$(value --inactive "//disk[target/@dev='vda']/source/@file")"
same "its UUID" "$uuid" "$(value //domain/uuid)"
expect_code 3 $restore libvirt:copy -C copy -d root
domain=copy
same "copy" "$PWD/copy/root.raw" "$(value "//disk[target/@dev='vda']/source/@file")"
[ "$(value //domain/uuid)" != "$uuid" ] || fail 'the same UUID'
