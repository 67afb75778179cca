#!/bin/sh
# Commonly believed: a dirty bitmap in a qcow2 image that records names every part of the disk that may differ from what was there
# when the bitmap was made. So a backup that reads only what it names is complete, and what it names too much does no harm.
#
# True: it records writes, and a disk also changes when it is cut. An image that was made smaller and then as large as before
# again has zeros where data was cut off, and the bitmap, which is kept through both steps, sound and recording, calls
# that area clean. Neither command warns, `qemu-img info` shows a bitmap like any other, and since the size is the same
# at the end, nothing tells of it afterwards.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3), a disk of 16 MiB full of ones, cut to 8 MiB and grown again, and then
# written to at 1 MiB:
#     the disk: 8 MiB differ behind byte 8388608
#     the bitmap: dirty at 1048576, 65536 bytes; nothing else
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qcow2-bitmap-forgets-a-shrink: $2" >&2
	exit "$1"
}

server=
clean_up()
{
	[ -z "$server" ] || kill "$server" 2>/dev/null || :
	wait || :
	rm -rf "$folder"
}

folder=$(mktemp -d)
trap clean_up EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-utils='1:7.2+dfsg-7+deb12u18+b3' libaio1=0.3.113-4 liburing2=2.3-3 libnuma1=2.0.16-1 \
	libfuse3-3=3.14.0-4 libglib2.0-0=2.74.6-2+deb12u9 libnbd-bin=1.14.2-1 libnbd0=1.14.2-1 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH

qemu-img create -q -f qcow2 disk.qcow2 16M || stop 2 "cannot make the image"
qemu-io -f qcow2 -c 'write -q -P 1 0 16M' disk.qcow2 || stop 2 "cannot write to it"
qemu-img convert -O raw disk.qcow2 before.raw || stop 2 "cannot read it"
qemu-img bitmap --add disk.qcow2 changes || stop 2 "cannot make the bitmap"
qemu-img resize -q --shrink disk.qcow2 8M 2>resize.log || stop 1 "it can no longer be made smaller: $(cat resize.log)"
qemu-img resize -q disk.qcow2 16M 2>>resize.log || stop 1 "it can no longer be made larger: $(cat resize.log)"
[ ! -s resize.log ] || stop 1 "resize has something to say: $(cat resize.log)"
qemu-io -f qcow2 -c 'write -q -P 2 1M 64k' disk.qcow2 || stop 2 "cannot write to it"

qemu-img convert -O raw disk.qcow2 after.raw || stop 2 "cannot read it"
differs=$(cmp -l before.raw after.raw | awk '$1 > 8388608 { n++ } END { print n + 0 }')
echo "the disk: $((differs / 1048576)) MiB differ behind byte 8388608"
[ "$differs" = 8388608 ] || stop 1 "the disk is not what it was expected to be"

qemu-nbd -r -t -f qcow2 -B changes -k "$folder/socket" --pid-file pid disk.qcow2 2>nbd.log &
server=$!
until [ -s pid ]; do
	kill -0 "$server" 2>/dev/null || stop 1 "the bitmap is no longer there: $(cat nbd.log)"
	sleep 0.1
done
nbdinfo --map=qemu:dirty-bitmap:changes "nbd+unix:///?socket=$folder/socket" >map || stop 2 "cannot read the bitmap"
dirty=$(awk '$3 == 1 { printf "%s%s %s", n++ ? "; " : "", $1, $2 }' map)
[ "$dirty" = "1048576 65536" ] || stop 1 "the bitmap says: $(cat map)"
echo "the bitmap: dirty at 1048576, 65536 bytes; nothing else"
