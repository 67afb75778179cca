# A Linux machine writes to a file system and to two raw drives, all served by vmabak; $GUEST_BACKUPS (2) backups of
# them while it does. What is restored is the machine as if its plug had been pulled.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need mkfs.ext4 e2fsck debugfs

make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
start_serve fs=fs.raw A=A.raw B=B.raw
start_guest 'nbd+unix:///fs?socket=nbd.sock' "$uri_A" "$uri_B"
backups=${GUEST_BACKUPS:-2}
images=
for n in $(seq $backups); do
	safe=$(guest_files)
	expect_code 0 "$VMABAK" backup -q serve:control -o $n.vmab
	before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$before" ]'
	guest_is_well
	expect_code 0 "$VMABAK" restore -q $n.vmab -C $n
	check_file_system $n/fs.raw "$safe"
	images="$images $n/A.raw $n/B.raw"
done
# shellcheck disable=SC2086 # a list of names
judge $images || fail "$(cat judgement)"
[ "$(sed -n 's/^ok //p' judgement | sort -nu | wc -l)" = $backups ] || fail "nothing was written: $(cat judgement)"
safe=$(guest_files)
stop_guest
stop_serve
check_file_system fs.raw "$safe"
judge A.raw B.raw || fail "the drives themselves: $(cat judgement)"
