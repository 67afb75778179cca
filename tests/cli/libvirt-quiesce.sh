# By the guest's agent a backup by libvirt has the file system stand still for the instant: it needs no
# journal then. It goes on whatever happens, also when the backup is killed in between.
# long: waits for limits of a frozen guest
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need e2fsck
need_guest_in_libvirt

make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
channel="<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
start_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"
wait_until eval 'as_user virsh -q qemu-agent-command web "{\"execute\":\"guest-fsfreeze-status\"}" >/dev/null 2>&1'

# thawed N: N times, and files are written again.
thawed()
{
	wait_until grep -q "agent: thawed $1" console
	before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$before" ]'
	guest_is_well
}

expect_code 0 as_user "$vmabak" backup --json libvirt:web --quiesce -o a.vmab
expect_json "$out" "d['capture']['frozen_ms'] > 0"
thawed 1
nothing_in_libvirt
expect_code 0 "$VMABAK" restore -q a.vmab -C restored
e2fsck -fn restored/vda.raw >fsck.out 2>&1 || fail "the file system was not quiet: $(cat fsck.out)"
! grep -q 'recovering\|skipping journal' fsck.out || fail "a journal is left: $(cat fsck.out)"

# Killed when the guest has just been frozen. libvirt may have been asked to begin, and begin after that: the guard
# waits for it.
in_background as_user "$vmabak" backup libvirt:web --quiesce -o b.vmab
wait_until grep -q 'agent: frozen 2' console
guard=$(pgrep -P $pid -f 'vmabak guard') || fail 'no guard'
kill -9 $pid
thawed 2
wait_until eval '! kill -0 $guard 2>/dev/null'
rm -f .*.part
nothing_in_libvirt

# An agent that is of no use: no backup, and no harm.
expect_code 1 as_user "$vmabak" backup libvirt:web --freeze-command 'sleep 60' --thaw-command 'touch thaw-was-run' \
	--freeze-timeout 1 -o b.vmab
expect_text "$err" 'within 1 s'
[ -e thaw-was-run ] || fail "not thawed"
nothing_in_libvirt
guest_is_well
