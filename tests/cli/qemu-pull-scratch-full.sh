# The room for scratch images runs out: the backup is given up before the guest's writes fail. Where
# there is too little from the start it does not begin.
# long: waits for a guest that writes
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
begin_in_private_mounts

mkdir "$TMPDIR/small"
mount -t tmpfs -o size=300M none "$TMPDIR/small" 2>/dev/null || skip "may not mount here"
on_exit "umount -l '$TMPDIR/small'"
truncate -s 600M a.raw
start_daemon one --blockdev driver=file,filename=a.raw,node-name=file \
	--blockdev driver=raw,file=file,node-name=A --export type=nbd,id=a,node-name=A,name=A,writable=on
uri=$(export_uri A)
mkfifo "$TMPDIR/fifo"
sleep 600 <"$TMPDIR/fifo" &
reader=$!
on_exit "kill $reader 2>/dev/null"
qemu-io -f raw -c 'write -q -P 1 0 600M' "$uri"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" "$VMABAK" backup "qemu:$qmp" --pull \
	--nbd-server "$exports" --scratch "$TMPDIR/small" -o - --format vma
wait_until exports_there
at=0
while [ $at -lt 600 ]; do
	timeout 200 qemu-io -f raw -c "write -q -P 3 ${at}M 20M" "$uri" >"$TMPDIR/said" 2>&1 ||
		fail "the guest's write"
	[ ! -s "$TMPDIR/said" ] || fail "the guest's write: $(cat "$TMPDIR/said")"
	at=$((at + 20))
	sleep 0.15 # to see that room runs out the backup needs the processor, too
done
wait_until eval '! exports_there'
kill $reader
ended_with 1 $pid
expect_text "$err" 'no room left for the scratch image' '--scratch names another place'
nothing_in_qemu
[ -z "$(ls -A "$TMPDIR/small")" ] || fail "left: $(ls -A "$TMPDIR/small")"

fallocate -l 200M "$TMPDIR/small/file"
expect_error 1 'no room left for the scratch image' "$VMABAK" backup "qemu:$qmp" --pull \
	--nbd-server "$exports" --scratch "$TMPDIR/small" -o no.vmab
rm "$TMPDIR/small/file"
[ ! -e no.vmab ] || fail "an archive"
[ -z "$(ls -A "$TMPDIR/small")" ] || fail "left: $(ls -A "$TMPDIR/small")"
nothing_in_qemu
