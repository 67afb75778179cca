# A libvirtd that was killed between noting a job and noting what job it is never ends it, and lets no other one begin: that
# is told, with the way out. Its note of the domain is made what such a kill leaves.
# long: libvirt waits half a minute for its own job
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 1048576
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
images=vda:a.qcow2
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda)"
backup 0 0 --track
kill_libvirtd
sed -i "0,/^  <devices>/s||  <job type='none' async='backup' flags='0x0' asyncStarted='1'/>\n  <devices>|" "$lv/r/libvirt/qemu/run/web.xml"
start_libvirt
! as_user virsh -q domjobinfo web >/dev/null 2>&1 || skip "this libvirt knows what its job is"
backup 7 1 --track
expect_text 1.json 'goes when the domain is shut down and libvirtd restarted then'
[ ! -e 1.vmab ] || fail "an archive"
as_user virsh -q destroy web
kill_libvirtd
start_libvirt
as_user virsh -q start --paused web
domain_writes 0 5 64k 64k
backup 0 2 --track --parent 0.vmab
listed 2 '[1]'
is_now 2
