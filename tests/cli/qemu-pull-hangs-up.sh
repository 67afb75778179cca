# QEMU hangs up while a pull cleans up, takes a connection without a word, and is gone, as when a machine powers off at
# that moment: the backup fails, leaves nothing, and warns of nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
# Passes on what both say, until there is a file "end" and exports are asked for.
cat >"$TMPDIR/between.py" <<'END2'
import os, select, signal, socket, sys
place, qemu, end, pid = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
listener.listen()
peer = listener.accept()[0]
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(qemu)
while True:
    for ready in select.select([peer, monitor], [], [])[0]:
        data = ready.recv(1 << 20)
        if not data or (os.path.exists(end) and b'"query-block-exports"' in data):
            peer.close()
            listener.accept()[0].close()
            os.unlink(place)
            os.kill(int(pid), signal.SIGKILL)
            sys.exit()
        (monitor if ready is peer else peer).sendall(data)
END2
"$PYTHON" "$TMPDIR/between.py" "$TMPDIR/place" "$qmp" "$TMPDIR/end" $daemon 2>"$TMPDIR/between.err" &
on_exit "kill $! 2>/dev/null"
wait_until test -S "$TMPDIR/place"
in_background "$VMABAK" backup "qemu:$TMPDIR/place" --pull --nbd-server "$exports" --scratch "$TMPDIR" \
	--rate 100K --compress none -o no.vmab
wait_until jobs_run
wait_until eval 'ask_qmp query-block-exports | grep -q vmabak-'
touch "$TMPDIR/end"
"$PYTHON" -c 'import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
for command in "qmp_capabilities", "query-jobs", "block-job-cancel":
    arguments = {"device": answer["return"][0]["id"]} if command == "block-job-cancel" else {}
    print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
    while True:
        answer = json.loads(lines.readline())
        if "return" in answer:
            break' "$asking"
ended_with 1 $pid
expect_text "$err" 'QEMU has ended'
expect_no_text "$err" warning
wait_until no_guard
[ -z "$(ls -d "$TMPDIR"/vmabak-* .*.part no.vmab 2>/dev/null)" ] || fail "left: $(ls -dA "$TMPDIR"/vmabak-*/* .* *)"
