# NBD servers that are connected and say nothing, or say it byte by byte, are given up in time, by
# name; so is a qemu-nbd of ours. One that takes its time to answer is waited for.
# long: waits for 60 seconds
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
make_random d.raw 1000000 1
expect_code 0 "$VMABAK" backup -q -o good.vmab d=d.raw
cat >"$TMPDIR/server.py" <<'END'
import socket, sys, threading, time
path, how = sys.argv[1:]
hello = b"NBDMAGICIHAVEOPT\0\3"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
def attend(peer):
    try:
        if how == "hello": peer.sendall(hello)
        for i in range(len(hello) if how == "drips" else 0):
            peer.sendall(hello[i:i + 1])
            time.sleep(4)
    except OSError: pass
    time.sleep(200)
while True: threading.Thread(target=attend, args=(listener.accept()[0],), daemon=True).start()
END

# gives_up N TEXT COMMAND...: in the background; several at a time.
all=
gives_up()
{
	(
		out=$out.$1 err=$err.$1
		shift
		expect_error 1 "$@"
	) &
	all="$all $!"
}
for how in nothing hello drips; do
	"$PYTHON" "$TMPDIR/server.py" "$TMPDIR/$how" $how &
	on_exit "kill $! 2>/dev/null"
	wait_until test -S "$TMPDIR/$how"
	words="$(nbd_uri $how): no answer within 15 s"
	gives_up $how.1 "$words" timeout 200 "$VMABAK" backup -q -o $how.vmab "d=$(nbd_uri $how)"
	gives_up $how.2 "$words" timeout 200 "$VMABAK" restore -q --force good.vmab -d "d=$(nbd_uri $how)"
done
mkdir "$TMPDIR/bin"
printf '#!/bin/sh\nexec sleep 200\n' >"$TMPDIR/bin/qemu-nbd"
chmod +x "$TMPDIR/bin/qemu-nbd"
printf 'QFI\373' >d.qcow2
gives_up captive 'd.qcow2: no answer within 60 s' \
	env PATH="$TMPDIR/bin:$PATH" timeout 200 "$VMABAK" backup -q -o captive.vmab d.qcow2
if command -v nbdkit >/dev/null; then
	serve_nbdkit slow --filter=delay file d.raw rdelay=20
	expect_code 0 "$VMABAK" backup -q -o slow.vmab "d=$(nbd_uri slow)"
	rm slow.vmab
fi
for one in $all; do
	wait "$one" || fail 'see above'
done
nothing_but d.qcow2 d.raw good.vmab
