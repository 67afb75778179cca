# A domain of libvirt with a checkpoint of --track moves to another libvirt, with its images where they are: the
# checkpoint stays behind, and the bitmap goes along, by which the next increment finds what changed.
# long: a second libvirt
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
. "$CLI/tracked.sh"

make_random a.raw 2097152
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
images='vda:a.qcow2'
other_libvirt

idle_domain web "$(disk qcow2 "$PWD/a.qcow2" vda)"
backup 0 0 --track
domain_writes 0 5 64k 64k
as_user virsh -q migrate --live --unsafe --persistent --undefinesource web \
	"qemu+unix:///session?socket=$other/r/libvirt/libvirt-sock" --migrateuri "unix://$lv/tmp/link" >"$lv/migrate.log" 2>&1 ||
	fail "virsh migrate: $(cat "$lv/migrate.log")"
rm -f "$lv/tmp/link"
cp "$lv/bin/as_user_there" "$lv/bin/as_user" # from here on, all is done there
domain_writes 0 6 256k 64k
backup 0 1 --track --parent 0.vmab
expect_text 1.err 'libvirt had lost checkpoint'
listed 1 '[2]'
is_now 1
checkpoints "$(of 1)"
