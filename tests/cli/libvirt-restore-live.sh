# A domain of libvirt runs from the archive that it is restored from, with --live any, is defined with the new disk when all is there, and started
# with that. The process of the restore is killed meanwhile. QEMU is another user, which is given the socket, and in the end the file.
# long: starts domains
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
need qemu-io

make_random root.raw 3000320
"$VMABAK" backup -q -o web.vmab root=root.raw
give() { [ "$(id -u)" != 0 ] || chown nobody "$@"; }

# begin [OPTION]...
begin()
{
	"$VMABAK" restore web.vmab -d root=new.raw --live any --nbd unix:web.nbd --control c.sock "$@" 2>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
	give web.nbd
}
begun()
{
	"$VMABAK" status c.sock >/dev/null 2>&1 && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
# writes PATTERN AT BYTES: of the guest, and of the file that is wanted.
writes()
{
	domain_writes 0 "$@"
	qemu-io -f raw -c "write -q -P $1 $2 $3" want || fail "want"
}

cp root.raw want
begin --rate 1
paused_domain web "<disk type='network' device='disk'><driver name='qemu' type='raw' error_policy='stop' rerror_policy='stop'/>
	<source protocol='nbd' name='root'><host transport='unix' socket='$PWD/web.nbd'/><reconnect delay='3600'/></source>
	<target dev='vda' bus='virtio'/></disk>"
writes 1 1000 5000
writes 2 2000000 70000
kill -9 $live
wait $live 2>/dev/null || :
begin
wait_until grep -q 'all is there' live.err
# libvirt 9.0 has QEMU not wait: requests fail, and would pause a machine that runs, until it has connected again.
read_again()
{
	as_user virsh -q qemu-monitor-command web --hmp 'qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend "read 0 512"' >"$lv/io"
	grep -q '^read 512/512' "$lv/c/libvirt/qemu/log/web.log" "$lv/k/libvirt/qemu/log/web.log" 2>/dev/null
}
wait_until read_again
writes 3 500000 100
expect_error 7 'client' "$VMABAK" stop c.sock
as_user virsh -q destroy web
wait_until "$VMABAK" stop c.sock 2>/dev/null
ended_with 0 $live
same_file want new.raw
give new.raw
[ ! -e new.raw.live ] || fail "it has its other name still"
if [ "$(id -u)" = 0 ]; then
	[ "$(stat -c %U new.raw)" = nobody ] || fail "whose is it: $(stat -c %U new.raw)"
fi
as_user virsh -q undefine web
paused_domain web "$(disk raw "$PWD/new.raw" vda)"
writes 4 700000 3000
as_user virsh -q destroy web
same_file want new.raw
