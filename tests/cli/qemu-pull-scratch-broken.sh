# QEMU cannot save what the guest overwrites, in a scratch image for which room was reserved: from
# QEMU 10 on that costs the backup, and not the guest. A Linux machine with three drives, raw and
# qcow2, one with an iothread.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need mkfs.ext4 qemu-img fallocate
qemu-system-x86_64 --version | grep -qE 'version [1-9][0-9]' ||
	skip "QEMU before 10 fails the guest's write"
begin_in_private_mounts

mkdir "$TMPDIR/small"
mount -t tmpfs -o size=300M none "$TMPDIR/small" 2>/dev/null || skip "may not mount here"
on_exit "umount -l '$TMPDIR/small'"
make_drives 20975104 12586496
qemu-img convert -f raw -O qcow2 B.raw B.qcow2
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
make_random still.raw 150000000 3
truncate -s 144M still.raw
boot_machine fs.raw A.raw B.qcow2 qcow2 -drive if=none,id=still,format=raw,file=still.raw -device virtio-blk-pci,drive=still

# What was reserved and not used is given to another file, which is full then.
take_room()
{
	for lib_fd in /proc/"$1"/fd/*; do
		case $(readlink "$lib_fd") in
		"$TMPDIR"/small/vmabak-*' (deleted)')
			lib_size=$(stat -L -c %s "$lib_fd")
			fallocate -n -p -o "$lib_size" -l 200M "$lib_fd"
			;;
		esac
	done
	! dd if=/dev/zero of="$TMPDIR/small/other" bs=64k status=none 2>/dev/null || fail "that was not all"
}
# The drive that nobody writes to is read first, as far as the pipe takes it.
mkfifo "$TMPDIR/fifo"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" "$VMABAK" backup -q "qemu:$qmp" \
	-d still -d fs -d A -d B --pull --scratch "$TMPDIR/small" --compress none -o -
exec 3<"$TMPDIR/fifo"
wait_until exports_there
take_room $pid
before=$(guest_files)
wait_until eval '[ "$(guest_files)" -gt $((before + 1)) ]'
guest_is_well
# There is room again, so only the snapshot itself knows.
rm "$TMPDIR/small/other"
cat <&3 >no.vmab
ended_with 1 $pid
guest_is_well
expect_code 4 "$VMABAK" verify no.vmab
nothing_in_qemu
ask_qmp query-block >"$TMPDIR/answer"
expect_no_text "$TMPDIR/answer" vmabak-

expect_code 0 "$VMABAK" backup -q "qemu:$qmp" --pull --scratch "$TMPDIR/small" -o a.vmab
expect_code 0 "$VMABAK" restore -q a.vmab -C out
nothing_in_qemu
judge out/A.raw out/B.raw || fail "$(cat judgement)"
same_file still.raw out/still.raw
stop_guest
