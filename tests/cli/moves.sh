# Two QEMUs, and a machine that goes from one to the other; its drive A is $image, its node $node. For tests that have peers.sh already.

node=A

# start_machine NAME ARGUMENT...: with a monitor at NAME.qmp for vmabak, and another one at NAME.ask.
start_machine()
{
	lib_name=$TMPDIR/$1
	shift
	qemu-system-x86_64 -M pc -accel tcg -S -nodefaults -display none -m 64 -daemonize -pidfile "$lib_name.pid" \
		-blockdev "driver=file,filename=$image,node-name=file" -blockdev "driver=${image#*.},file=file,node-name=$node" \
		-device virtio-blk-pci,drive=$node,id=A -qmp "unix:$lib_name.qmp,server=on,wait=off" \
		-qmp "unix:$lib_name.ask,server=on,wait=off" "$@" 2>"$lib_name.log" || fail "qemu: $(cat "$lib_name.log")"
	machine=$(cat "$lib_name.pid")
	on_exit "kill -9 $machine 2>/dev/null"
}
# ask NAME COMMAND [ARGUMENTS]
ask()
{
	asking=$TMPDIR/$1.ask
	shift
	ask_qmp "$@"
}
# write_in NAME PATTERN OFFSET: 512 bytes, by the machine's device.
write_in()
{
	device_io "$1" "write -P $2 $3 512"
}
# The same, and QEMU counts it as the guest's.
write_counted_in()
{
	device_io "$1" "aio_write -q -P $2 $3 512"
	device_io "$1" aio_flush
	ask "$1" query-blockstats | grep -q '"wr_operations": [1-9]' || fail "QEMU has not counted a write"
}
device_io() # NAME COMMAND
{
	ask "$1" human-monitor-command "{\"command-line\": \"qemu-io -d /machine/peripheral/A/virtio-backend \\\"$2\\\"\"}" >said
	[ "$(cat said)" = '""' ] || fail "$2: $(cat said)"
}
backup() # CODE MACHINE STATE ARCHIVE [OPTION]...
{
	lib_wanted_code=$1 lib_machine=$2 lib_state=$3 lib_archive=$4
	shift 4
	expect_code "$lib_wanted_code" "$VMABAK" backup -q --json --track --state "$lib_state" "qemu:$TMPDIR/$lib_machine.qmp" \
		-o "$lib_archive" "$@"
}
holds() # ARCHIVE
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q --parents . "$1" -C back
	qemu-img convert -U -f "${image#*.}" -O raw "$image" now.raw
	same_file now.raw back/A.raw
}
# increment STATE N CLUSTERS: N.vmab, on the one before it, finds so many clusters by what was recorded, and is right.
increment()
{
	backup 0 to "$1" "$2.vmab" --parent "$(($2 - 1)).vmab" --force
	expect_json "$out" "d['drives'][0]['proof']['listed_clusters'] == $3"
	holds "$2.vmab"
}
moved() { ask from query-migrate | grep -q '"status": "completed"'; }

# Its firmware looks whether it can start from the disk.
has_read() { ask from query-blockstats | grep -q '"rd_operations": [1-9]'; }
migrate()
{
	lib_wanted_code=$1
	shift
	expect_code "$lib_wanted_code" "$VMABAK" checkpoint migrate "qemu:$TMPDIR/from.qmp" "qemu:$TMPDIR/to.qmp" --state s1 \
		--to-state s2 "$@"
}

# move_with_bitmaps: the machine from "from" to "to", where it runs then, with what QEMU has of bitmaps.
move_with_bitmaps()
{
	start_machine to -incoming "unix:$TMPDIR/link"
	for lib_name in from to; do
		ask $lib_name migrate-set-capabilities '{"capabilities": [{"capability": "dirty-bitmaps", "state": true}]}' >said
	done
	ask from cont >said
	wait_until has_read
	ask from migrate "{\"uri\": \"unix:$TMPDIR/link\"}" >said
	wait_until moved
	wait_until has_come
	# QEMU 10 opens no image for writing before the machine runs.
	ask to cont >said
	wait_until goes_on
}
goes_on() { ask to query-status | grep -q '"status": "running"'; }
has_come() { ask to query-status | grep -qE '"status": "(running|paused|prelaunch)"'; }
end_machines()
{
	for lib_pid in $(cat "$TMPDIR/from.pid" "$TMPDIR/to.pid"); do
		kill -9 "$lib_pid"
		wait_until gone "$lib_pid"
	done
}
