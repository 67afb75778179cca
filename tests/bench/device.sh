#!/bin/sh
# One reading of a device: starts a server of an image or archive, reads from it, ends it.
#
#   device.sh vmabak|qemu-nbd FILE copy|random [OPTION OF THE SERVER]...
#
# copy: all of it to nowhere; random: 20000 reads of 4 KiB, 16 at a time.
set -eu
server=$1 file=$2 how=$3
shift 3
socket=$PWD/out.sock
rm -f "$socket"
case $server in
vmabak) "$VMABAK" export -q "$file" --nbd "unix:$socket" "$@" & ;;
*) qemu-nbd -r -f qcow2 -t -e 16 -x disk -k "$socket" "$@" "$file" & ;;
esac
pid=$!
trap 'kill $pid; wait $pid 2>/dev/null || true; rm -f "$socket"' EXIT
while [ ! -S "$socket" ]; do
	kill -0 $pid
	sleep 0.01
done
uri="nbd+unix:///disk?socket=$socket"
case $how in
copy) nbdcopy "$uri" null: ;;
*) fio --name=x --ioengine=nbd --uri="$uri" --rw=randread --bs=4k --iodepth=16 --number_ios=20000 --size=100% \
	--randrepeat=1 --output-format=terse >/dev/null ;;
esac
