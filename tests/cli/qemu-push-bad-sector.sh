# QEMU cannot read what the guest is about to overwrite: no archive that lacks it. A QEMU that can
# give up the snapshot instead lets the guest's write succeed, and its job says that all went well.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
make_random a.raw 100000000 1
truncate -s 96M a.raw
# The first read of a sector at 90 MiB fails.
start_daemon one --blockdev driver=file,filename=a.raw,node-name=file \
	--blockdev driver=blkdebug,node-name=bad,image=file,inject-error.0.event=none,inject-error.0.iotype=read,inject-error.0.sector=184320,inject-error.0.once=on \
	--blockdev driver=raw,file=bad,node-name=A --export type=nbd,id=a,node-name=A,name=A,writable=on
mkfifo "$TMPDIR/fifo"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" "$VMABAK" backup -q "qemu:$qmp" --buffer 16M \
	--compress none -o -
# Nothing is read from the pipe yet, so the job gets no further than the buffer takes.
exec 3<"$TMPDIR/fifo"
wait_until jobs_run
expected=0
qemu-io -f raw -c 'write -q -P 3 90M 4k' "$(export_uri A)" >"$TMPDIR/said" 2>&1 || :
# What the guest writes from now on must not become part of an archive.
qemu-io -f raw -c 'write -q -P 4 91M 1M' "$(export_uri A)" 2>&1
if ask_qmp query-qmp-schema | "$PYTHON" -c 'import json, sys
schema = {entry["name"]: entry for entry in json.load(sys.stdin)}
members = schema[schema["blockdev-backup"]["arg-type"]]["members"]
sys.exit(all(member["name"] != "on-cbw-error" for member in members))'; then
	expected=1
	[ ! -s "$TMPDIR/said" ] || fail "the guest's write: $(cat "$TMPDIR/said")"
else
	grep -q 'Input/output error' "$TMPDIR/said" || fail "the guest's write: $(cat "$TMPDIR/said")"
fi
cat <&3 >got.vmab
ended_with $expected $pid
nothing_in_qemu
if [ $expected = 1 ]; then
	expect_text "$err" 'drive A: QEMU could not read or send what the guest was about to overwrite'
	expect_code 4 "$VMABAK" verify got.vmab
else
	expect_code 0 "$VMABAK" restore got.vmab -C out
	make_random then.raw 100000000 1
	truncate -s 96M then.raw
	same_file then.raw out/A.raw
fi
