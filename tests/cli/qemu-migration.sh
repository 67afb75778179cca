# A live migration: no backup begins while one runs, and one that begins ends the backup and succeeds. QEMU fails
# it otherwise.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
make_random a.raw 50331648 1 # more than the buffer takes

# start_machine NAME ARGUMENT...: with a monitor at $qmp, and another one at $asking; its pid is in $machine.
start_machine()
{
	qmp=$TMPDIR/$1.qmp asking=$TMPDIR/$1.ask
	shift
	rm -f "$qmp" "$asking"
	qemu-system-x86_64 -M pc -accel tcg -S -nodefaults -display none -m 64 -daemonize -pidfile "$qmp.pid" \
		-blockdev driver=file,filename=a.raw,node-name=file -blockdev driver=raw,file=file,node-name=A \
		-device virtio-blk-pci,drive=A -qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
		"$@" 2>"$qmp.log" || fail "qemu: $(cat "$qmp.log")"
	machine=$(cat "$qmp.pid")
	on_exit "kill -9 $machine 2>/dev/null"
}

migration_is()
{
	ask_qmp query-migrate | grep -q "\"status\": \"$1\""
}

# A job, or a filter.
backup_has_begun()
{
	ask_qmp query-jobs | grep -q vmabak- || ask_qmp query-block-exports | grep -q vmabak-
}

for way in --buffer=16M --pull; do
	start_machine to -incoming "unix:$TMPDIR/link"
	destination=$machine
	start_machine from
	ask_qmp migrate-set-capabilities \
		'{"capabilities": [{"capability": "pause-before-switchover", "state": true}]}' >"$TMPDIR/answer"

	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" backup "qemu:$qmp" $way --force -o a.vmab
	ask_qmp query-migrate-capabilities | grep -q '"state": false, "capability": "events"' ||
		fail "QEMU's settings were changed"

	in_background "$VMABAK" backup "qemu:$qmp" $way --rate 500K --compress none -o no.vmab
	wait_until backup_has_begun
	ask_qmp migrate "{\"uri\": \"unix:$TMPDIR/link\"}" >"$TMPDIR/answer"
	ended_with 7 $pid
	expect_text "$err" 'is being migrated'
	# The end waits.
	expect_error 7 'is being migrated' "$VMABAK" backup "qemu:$qmp" $way -o no.vmab
	migration_is pre-switchover || fail 'the migration has not waited'
	ask_qmp migrate-continue '{"state": "pre-switchover"}' >"$TMPDIR/answer"
	wait_until migration_is completed
	nothing_in_qemu
	kill -9 $machine $destination
done
rm a.vmab
nothing_but a.raw
