# A Linux machine under a QEMU as it is writes to a file system and two drives, raw and qcow2, one with an iothread, while they
# are mirrored; the machine is led to the targets, and back by what changed, and sees no error. A bitmap in a qcow2 outlives
# QEMU. A target that gives no answer is hung up on.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need mkfs.ext4 e2fsck debugfs qemu-img

make_drives 8388608 4194304
qemu-img convert -f raw -O qcow2 B.raw B.qcow2
truncate -s 32M fs.raw
mkfs.ext4 -q -F fs.raw
goes_on()
{
	lib_before=$(guest_files)
	wait_until eval '[ "$(guest_files)" -gt "$lib_before" ]'
	guest_is_well
}
boot_machine "$PWD/fs.raw" "$PWD/A.raw" "$PWD/B.qcow2" qcow2
expect_code 0 mirror start -d fs=fs.new -d A=A.new -d B=B.new --state s.json
expect_code 0 mirror wait
goes_on
safe=$(guest_files)
expect_code 0 mirror pivot -q
qemu-img convert -f qcow2 -O raw B.qcow2 B.old
judge A.raw B.old || fail "$(cat judgement)"
check_file_system fs.raw "$safe"
nothing_of_mirrors
goes_on
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -o moved.vmab
expect_code 0 mirror start -d fs=fs.raw -d A=A.raw -d B=B.raw --state s.json --json --force
expect_json "$out" "[x['known'] for x in d['drives']] == [True, True, False]" "d['drives'][1]['left_bytes'] <= 8388608"
expect_code 0 mirror wait
safe=$(guest_files)
expect_code 0 mirror pivot -q
judge A.new B.new || fail "$(cat judgement)"
check_file_system fs.new "$safe"
goes_on

# Silent.
truncate -s 8388608 t.raw
"$VMABAK" serve -q --control "$TMPDIR/far.sock" --nbd "unix:$TMPDIR/far.nbd" t=t.raw 2>far.err &
far=$!
on_exit "kill -9 $far 2>/dev/null"
wait_until "$VMABAK" status "$TMPDIR/far.sock" >/dev/null 2>&1
expect_code 0 mirror start -d "A=$(nbd_uri far.nbd t)" --force
expect_code 0 mirror wait
kill -STOP $far
goes_on
expect_code 0 mirror abort
nothing_of_mirrors
goes_on
kill -9 $far
ask_qmp quit >/dev/null
wait_until gone $guest
judge A.raw B.raw || fail "the drives themselves: $(cat judgement)"

# The bitmap of a qcow2, when QEMU has ended as it should.
cp B.raw B.initial
qemu-img convert -f raw -O qcow2 B.raw again.qcow2
cp A.raw A.initial
boot_machine fs.raw A.raw again.qcow2 qcow2
expect_code 0 mirror start -d B=again.new --state again.json
expect_code 0 mirror wait
wait_until grep -q '"n_clusters":64' again.json
goes_on
ask_qmp quit >/dev/null
wait_until gone $guest
# Its writer begins anew at each boot.
cp A.raw A.initial
qemu-img convert -f qcow2 -O raw again.qcow2 B.initial
boot_machine fs.raw A.raw again.qcow2 qcow2
expect_code 0 mirror start -d B=again.new --state again.json --json
expect_json "$out" "d['drives'][0]['known']"
expect_code 0 mirror wait
expect_code 0 mirror pivot -q
ask_qmp quit >/dev/null
wait_until gone $guest
judge A.raw again.new || fail "the drives themselves: $(cat judgement)"
