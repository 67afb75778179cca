# A machine of QEMU that is started after its restore, is killed in the middle and started again; what it wrote is there. Then its device, on a
# throttle node above the export, moves to the new disk, what it writes goes there alone, and nothing of the export is left. README.md has
# what this prints.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need qemu-system-x86_64 qemu-io

mkdir srv run
make_random root.raw 4194304 3
truncate -s 6M root.raw
"$VMABAK" backup -q -o web.vmab root=root.raw
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask

# begin [OPTION]...
begin()
{
	"$VMABAK" restore web.vmab -d root=srv/root.raw --live "qemu:$qmp" --nbd unix:run/web.nbd "$@" 2>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
}
begun()
{
	grep -q '^vmabak: drive root: ' live.err && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
start_machine()
{
	rm -f "$qmp" "$asking"
	qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -device virtio-scsi-pci \
		-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" -object throttle-group,id=limits \
		-blockdev driver=nbd,node-name=export,export=root,reconnect-delay=3600,server.type=unix,server.path=run/web.nbd \
		-blockdev driver=throttle,node-name=root,throttle-group=limits,file=export \
		-device scsi-hd,drive=root,id=disk,rerror=stop,werror=stop >>qemu.out 2>qemu.err &
	machine=$!
	on_exit "kill -9 $machine 2>/dev/null"
	wait_until machine_began
}
machine_began()
{
	[ -S "$asking" ] && ask_qmp query-status >/dev/null 2>&1 && return
	kill -0 $machine 2>/dev/null || fail "QEMU has ended: $(cat qemu.err)"
	return 1
}
# The guest's requests, which the file "want" gets, too.
cp root.raw want
guest()
{
	for request; do
		ask_qmp human-monitor-command "{\"command-line\": \"qemu-io -d disk \\\"$request\\\"\"}" >answer
		qemu-io -f raw -c "$request" want >"$out" 2>&1 || fail "$(cat "$out")"
	done
}

begin --rate 1
start_machine
guest 'write -P 1 1000 5000' 'write -P 2 5M 64k' 'read -P 2 5M 64k' flush
kill -9 $machine
wait $machine 2>/dev/null || :
start_machine
guest 'read -P 1 1000 5000' 'write -z 2M 100k' 'write -P 3 3000000 70000'
kill -9 $live
wait $live 2>/dev/null || :
# Its monitor is not to be found until all is there; it is asked once more at the end, and is moved though it may have no connection just now.
mv "$qmp" "$qmp.away"
begin
wait_until grep -q 'the machine stays where it is' live.err
# Nor as long as a job has a filter there.
ask_qmp blockdev-add '{"driver": "null-co", "node-name": "void", "size": 6291456}' >answer
ask_qmp blockdev-add '{"driver": "copy-before-write", "node-name": "backup", "file": "export", "target": "void"}' >answer
mv "$qmp.away" "$qmp"
wait_until grep -q 'a node of copy-before-write is on the export of drive root, as of a backup' live.err
ask_qmp blockdev-del '{"node-name": "backup"}' >answer
ask_qmp blockdev-del '{"node-name": "void"}' >answer
kill $live
ended_with 0 $live
guest 'write -P 4 4M 128k' 'read -P 3 3000000 70000' 'read -P 2 5M 64k' flush
ask_qmp query-named-block-nodes >nodes
expect_no_text nodes nbd export throttle
expect_text nodes "$PWD/srv/root.raw"
[ "$(ls srv)" = root.raw ] || fail "made: $(ls srv)"
end_process $machine
same_file want srv/root.raw
# What the guest's requests came to is on QEMU's standard output.
expect_no_text qemu.out ailed rror
[ "$(grep -c 'read \|wrote ' qemu.out)" = 9 ] || fail "requests: $(cat qemu.out)"

expect_text live.err 'vmabak: drive root: without the filter root, a node of throttle'

# The same in README.md, but for the filter, paths, sizes and times.
sed -n '/^    \$ vmabak restore web.vmab .*--live qemu:/,/^$/s/^    //p' "$SRC/README.md" | sed '1d; s/([0-9.]* [A-Z]*iB)/(6 MiB)/; s/ in .*//' >wanted
[ "$(grep -c . wanted)" = 4 ] || fail "README.md shows something else"
sed "/ bytes are there/d; / without the filter /d; / stays where it is/d; s,$PWD/srv,/srv,; s,=run/,=/run/,; s/([0-9.]* [A-Z]*iB)/(6 MiB)/; s/ in .*//" live.err >found
diff wanted found || fail "README.md says something else"
