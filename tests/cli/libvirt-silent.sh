# A libvirt that takes a connection and says nothing is given up.
# long: waits for 90 seconds
. "$(dirname "$0")/lib.sh"

"$VMABAK" --version | grep -q libvirt=yes || skip "vmabak was built without libvirt"
"$PYTHON" -c 'import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("l")
listener.listen(8)
time.sleep(250)' &
on_exit "kill $! 2>/dev/null"
wait_until test -S l
expect_error 1 'libvirt: no answer within 90 s' timeout 200 \
	"$VMABAK" backup -q --connect "qemu+unix:///session?socket=$(echo "$PWD/l" | sed 's/ /%20/g')" libvirt:web -o a.vmab
nothing_but l
