# A QEMU that was started as root and dropped its user gets at sockets and scratch images.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_root
need_images
need qemu-system-x86_64 pgrep
id nobody >"$TMPDIR/id" || skip "no user nobody"
# Where that user gets to.
TMPDIR=$(mktemp -d /tmp/dropped-user.XXXXXX)
on_exit "rm -rf '$TMPDIR'"
chmod 711 "$TMPDIR"
# More than the buffer of the killed run holds, so that its job runs as long as it does.
make_random a.raw 24000000 1
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
port=$(free_port)
# start DROP...: the options that have it drop its user.
start()
{
	qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize \
		-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
		-qmp "tcp:127.0.0.1:$port,server=on,wait=off" "$@" \
		-drive if=none,id=a,file=a.raw,format=raw -device virtio-blk-pci,drive=a 2>"$TMPDIR/qemu.err"
}
# Until QEMU 9, and since.
start -runas nobody || start -run-with user=nobody || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"
[ "$(stat -c %U "/proc/$machine")" = nobody ] || fail "QEMU runs as $(stat -c %U "/proc/$machine")"

for pull in '' --pull; do
	expect_code 0 "$VMABAK" backup "qemu:$qmp" $pull ${pull:+--scratch "$TMPDIR"} -o a$pull.vmab
	expect_code 0 "$VMABAK" restore -q a$pull.vmab -d a=out$pull.raw
	same_file a.raw out$pull.raw
	nothing_in_qemu
done
# The files of bitmaps are open to it, too.
for n in 1 2; do
	expect_code 0 "$VMABAK" backup "qemu:$qmp" --track --state state -o t$n.vmab --parent a.vmab --json
	expect_json "$out" 'd["n_tracked"] == 1' 'd["warnings"] == []'
	expect_code 0 "$VMABAK" backup "qemu:$qmp" --track --state state -o u$n.vmab --parent t$n.vmab --json
	expect_json "$out" 'd["drives"][0]["proof"]["listed_clusters"] == 1'
	nothing_in_qemu
done
# What a killed run left is open to QEMU again, too.
in_background "$VMABAK" backup -q "qemu:$qmp" --rate 100K --buffer 16M -o no.vmab
wait_until jobs_run
kill -9 $pid
nothing_in_qemu
# Over TCP nobody tells that user.
for pull in '' --pull; do
	expect_error 1 'over TCP it is not known' \
		"$VMABAK" backup "qemu:tcp:127.0.0.1:$port" $pull ${pull:+--scratch "$TMPDIR"} -o no.vmab
	nothing_in_qemu
done
