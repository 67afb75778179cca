# A Linux machine under a QEMU as it is writes to a file system and two drives, raw and qcow2, one with
# an iothread; backups of them while it does, one of which is killed. What is restored is the machine
# as if its plug had been pulled, and it boots again.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need mkfs.ext4 e2fsck debugfs qemu-img

make_drives 20975104 12586496
qemu-img convert -f raw -O qcow2 B.raw B.qcow2
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
boot_machine fs.raw A.raw B.qcow2 qcow2
# The first is pushed, the second pulled.
for n in 1 2; do
	safe=$(guest_files)
	pull=
	[ $n = 1 ] || pull=--pull
	expect_code 0 "$VMABAK" backup -q "qemu:$qmp" $pull -o $n.vmab
	before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$before" ]'
	guest_is_well
	expect_code 0 "$VMABAK" restore -q $n.vmab -C $n
	check_file_system $n/fs.raw "$safe"
	[ $n = 2 ] && break
	"$VMABAK" backup -q "qemu:$qmp" --rate 5M -o killed.vmab &
	pid=$!
	# Small jobs may end before they are seen.
	wait_until eval 'jobs_run || has_part . 1'
	kill -9 $pid
	nothing_in_qemu
	guest_is_well
done
[ ! -e killed.vmab ] || fail "an archive of a run that was killed"
judge 1/A.raw 1/B.raw 2/A.raw 2/B.raw || fail "$(cat judgement)"
[ "$(sed -n 's/^ok //p' judgement | sort -nu | wc -l)" = 2 ] || fail "nothing was written: $(cat judgement)"
safe=$(guest_files)
stop_guest
check_file_system fs.raw "$safe"
qemu-img convert -f qcow2 -O raw B.qcow2 B.raw
judge A.raw B.raw || fail "the drives themselves: $(cat judgement)"

# Again from the archive, on a qcow2.
expect_code 0 "$VMABAK" restore 2.vmab -d fs=again.qcow2 -d A=again.A -d B=again.B
qemu-img convert -f qcow2 -O raw again.qcow2 again.fs
boot_machine again.fs again.A again.B raw
guest_is_well
stop_guest
