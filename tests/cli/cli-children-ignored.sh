# Run by something that ignores SIGCHLD, whose children inherit that: how qemu-img, qemu-nbd and the commands of --freeze-command
# ended is believed all the same.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 1000000 1
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw
ignoring='import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp(sys.argv[1], sys.argv[1:])'
need_images
mkdir bin to
path=$PATH
# One that does all its work, and then says that it failed.
for program in qemu-nbd qemu-img; do
	real=$(command -v $program)
	# A socket is handed to the process of that number only.
	cat >bin/$program <<END
#!/bin/sh
sh -c 'LISTEN_PID=\$\$; export LISTEN_PID; exec $real "\$@"' sh "\$@"
exit 3
END
	chmod +x bin/$program
	PATH=$PWD/bin:$path
	expect_code 1 timeout 200 "$PYTHON" -c "$ignoring" "$VMABAK" restore -q a.vmab -d disk0=to/a.qcow2
	expect_text "$err" $program
	[ -z "$(ls -A to)" ] || fail "left: $(ls -A to)"
	PATH=$path
	rm bin/$program
done
expect_code 0 "$PYTHON" -c "$ignoring" "$VMABAK" restore -q a.vmab -d disk0=to/a.qcow2
