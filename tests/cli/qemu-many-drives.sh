# More drives than a server of QEMU has connections for: one that runs already, and the server that a pull starts.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
N=104
make_random all $((N * 70144)) 1
split -b 70144 -d -a 3 all drive
names=$(ls drive*)
for name in $names; do
	echo "--blockdev driver=file,filename=$name,node-name=$name --export type=nbd,id=$name,node-name=$name,name=$name,writable=on"
done >arguments
# shellcheck disable=SC2046 # words
start_daemon many $(cat arguments)
# check ARCHIVE
check()
{
	expect_code 0 "$VMABAK" restore -q --no-sync "$1" -C out
	cat out/drive*.raw | cmp - all || fail "$1 differs"
	[ "$(ls out/drive*.raw | wc -l)" = $N ] || fail "$1 does not hold $N drives"
	rm -r out
	nothing_in_qemu
}
expect_code 0 "$VMABAK" backup "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$TMPDIR" -o pull.vmab
check pull.vmab
expect_code 0 "$VMABAK" backup "qemu:$qmp" -o push.vmab
check push.vmab
# The exports go with the server.
ask_qmp nbd-server-stop >"$TMPDIR/answer"
# shellcheck disable=SC2046 # words
expect_code 0 "$VMABAK" backup "qemu:$qmp" $(printf -- '-d %s ' $names) --pull --threads 8 --scratch "$TMPDIR" -o own.vmab
check own.vmab
