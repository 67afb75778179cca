# External snapshots while a drive is tracked. What was written above it and is committed is in the bitmap of the image; a
# backup of the drive above the image compares, and so does the next one of the image. A stream from below, which marks
# nothing, changes nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
qemu-img create -q -f qcow2 disk.qcow2 8M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' disk.qcow2
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize \
	-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" -device virtio-scsi-pci \
	-blockdev driver=file,node-name=file,filename=disk.qcow2 -blockdev driver=qcow2,node-name=disk,file=file -device scsi-hd,drive=disk,id=disk \
	2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"
n=0

io()
{
	ask_qmp human-monitor-command "{\"command-line\": \"qemu-io -d disk \\\"$1\\\"\"}" >"$TMPDIR/io"
	! grep -qi 'fail\|error\|conflict' "$TMPDIR/io" || fail "$(cat "$TMPDIR/io")"
}

# increment CODE IMAGE: of the last one, which is to be as the image.
increment()
{
	expect_code "$1" "$VMABAK" backup -q "qemu:$qmp" --track --state state -o $((n + 1)).vmab --parent $n.vmab
	n=$((n + 1))
	is_as $n "$2"
}

is_as() # ARCHIVE IMAGE
{
	io flush
	rm -rf back
	"$VMABAK" restore -q $1.vmab -C back || fail "restore"
	qemu-img compare -q -U -f raw -F qcow2 back/disk.raw "$2" || fail "$1.vmab is not as $2"
}

snapshot()
{
	ask_qmp blockdev-snapshot-sync "{\"node-name\": \"disk\", \"snapshot-file\": \"$PWD/$1.qcow2\", \"snapshot-node-name\": \"$1\"}" >/dev/null
}

# With a bitmap that is persistent, QEMU 7.2 commits only into an image that was made writable before.
commit()
{
	ask_qmp blockdev-reopen '{"options": [{"driver": "qcow2", "node-name": "disk", "file": "file", "read-only": false}]}' >/dev/null
	ask_qmp block-commit "{\"device\": \"$1\", \"job-id\": \"commit\"}" >/dev/null
	wait_until is_ready
	ask_qmp block-job-complete '{"device": "commit"}' >/dev/null
	wait_until has_no_job
}

is_ready()
{
	ask_qmp query-jobs | grep -q '"ready"'
}

has_ended()
{
	ask_qmp query-jobs | grep -q '"concluded"'
}

has_no_job()
{
	[ "$(ask_qmp query-jobs)" = '[]' ]
}

expect_code 0 "$VMABAK" backup -q "qemu:$qmp" --track --state state -o 0.vmab
io 'write -P 6 1M 64k'
snapshot one
io 'write -P 7 3M 64k'
commit one
increment 0 disk.qcow2
snapshot two
io 'write -P 8 4M 64k'
increment 3 two.qcow2
expect_text "$err" 'drive disk: all of it is compared with the parent: its changes were not recorded'
io 'write -P 9 5M 64k'
increment 0 two.qcow2
commit two
io 'write -P 10 6M 64k'
increment 3 disk.qcow2
io 'write -P 11 7M 64k'
increment 0 disk.qcow2

# block-stream: what it takes from below was there for the guest before, so that only what the guest wrote is new. While it goes
# on QEMU refuses the backup, which loses nothing.
snapshot three
io 'write -P 12 2M 64k'
increment 3 three.qcow2
io 'write -P 13 3M 64k'
ask_qmp block-stream '{"device": "three", "job-id": "stream", "speed": 65536, "auto-dismiss": false}' >/dev/null
expect_code 1 "$VMABAK" backup "qemu:$qmp" --track --state state -o streaming.vmab --parent $n.vmab
expect_text "$err" 'in use by block job: stream'
nothing_in_qemu
io 'write -P 14 4M 64k'
ask_qmp block-job-set-speed '{"device": "stream", "speed": 0}' >/dev/null
wait_until has_ended
ask_qmp job-dismiss '{"id": "stream"}' >/dev/null
[ "$(qemu-img info -U --output json three.qcow2 | grep -c backing)" = 0 ] || fail "nothing was streamed"
expect_code 0 "$VMABAK" backup --json "qemu:$qmp" --track --state state -o after.vmab --parent $n.vmab
expect_json "$out" "[x['proof']['listed_clusters'] for x in d['drives']] == [3]"
is_as after three.qcow2
nothing_in_qemu
