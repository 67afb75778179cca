# libvirt has a migration wait for the end of a backup, for 30 s: a backup that is ended meanwhile lets it go on.
# long: waits for libvirt
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random A.raw 8000000 1
other_libvirt

paused_domain web "$(disk raw "$PWD/A.raw" vda)"
in_background as_user "$vmabak" backup libvirt:web --rate 60K --compress none -o a.vmab
wait_until backup_runs
as_user virsh -q migrate --live --unsafe web "qemu+unix:///session?socket=$other/r/libvirt/libvirt-sock" \
	--migrateuri "unix://$lv/tmp/link" >"$lv/migrate.log" 2>&1 &
migration=$!
sleep 2 # nothing tells that it waits
kill -0 $migration || fail "virsh migrate: $(cat "$lv/migrate.log")"
kill -INT $pid
ended_with 130 $pid
wait $migration || fail "virsh migrate: $(cat "$lv/migrate.log")"
as_user_there virsh -q domstate web | grep -q 'paused' || fail 'the machine is not there'
