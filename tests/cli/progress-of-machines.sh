# Percents of a backup by serve and by QEMU's jobs are of what the drives have allocated.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-storage-daemon

make_random data.raw 16777216 1
truncate -s 20G drive.raw
dd if=data.raw of=drive.raw conv=notrunc bs=1M status=none
qemu-img convert -O qcow2 drive.raw drive.qcow2

in_between()
{
	grep -qE '^[1-8][0-9]/100$' lines
}
backed_up()
{
	expect_code 0 "$VMABAK" backup --force -o a.vmab "$@" --progress-fd 3 3>lines
}

"$VMABAK" serve -q --control ctl.sock --nbd unix:nbd.sock root=drive.raw &
on_exit "kill $! 2>/dev/null"
wait_until test -S ctl.sock
slower_until in_between 16 backed_up serve:ctl.sock
expect_code 0 "$VMABAK" stop ctl.sock

qemu-storage-daemon --daemonize --pidfile qemu.pid --chardev socket,path=web.qmp,server=on,wait=off,id=c \
	--monitor chardev=c --nbd-server addr.type=unix,addr.path=qemu.nbd \
	--blockdev driver=qcow2,node-name=root,file.driver=file,file.filename=drive.qcow2 \
	--export type=nbd,id=root,node-name=root,writable=on
on_exit "kill $(cat qemu.pid)"
slower_until in_between 8 backed_up qemu:web.qmp
