# A connection to QEMU's monitor that is of no use any more: the backup hangs up before it connects again, as a
# monitor has one client at a time, and leaves nothing in QEMU.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
# Passes everything on, but what answers the first transaction is no JSON.
cat >"$TMPDIR/monitor.py" <<'END'
import os, socket, sys, threading
ours, qemus = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(ours + ".new")
listener.listen()
os.rename(ours + ".new", ours)
answered = False

def pass_back(qemu, client):
    global broken, answered
    for line in qemu.makefile("rb"):
        if broken and b'"event"' not in line and not answered:
            answered = True
            line = b"garbage\n"
        try:
            client.sendall(line)
        except OSError:
            return

while True:
    client = listener.accept()[0]
    qemu = socket.socket(socket.AF_UNIX)
    qemu.connect(qemus)
    broken = False
    threading.Thread(target=pass_back, args=(qemu, client), daemon=True).start()
    for line in client.makefile("rb"):
        if b'"transaction"' in line:
            broken = True
        qemu.sendall(line)
    qemu.shutdown(socket.SHUT_RDWR)
    client.close()
END
"$PYTHON" "$TMPDIR/monitor.py" "$TMPDIR/between" "$qmp" &
on_exit "kill $! 2>/dev/null"
wait_until test -S "$TMPDIR/between"
expect_error 1 'unexpected reply' "$VMABAK" backup "qemu:$TMPDIR/between" -o a.vmab
nothing_in_qemu
nothing_but a.raw b.qcow2
