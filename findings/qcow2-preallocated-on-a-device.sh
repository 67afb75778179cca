#!/bin/sh
# Commonly believed: a new qcow2 image reads as zeros, whatever it lies on; with preallocation=full all the more, as
# that writes to all of the storage when the image is created.
#
# True: on storage that cannot grow (a block device, an NBD export) an image with preallocation=metadata, falloc or
# full shows the old bytes of the storage. Its clusters are allocated as data and nothing is written to them, not even
# by "full"; the zeros are left to the file that grows, and here nothing grows. qemu-img prints no warning, and `qemu-img
# check` finds no errors. A copy that skips zeros, because the target is new, so brings back the previous owner's data.
# Without preallocation the image reads as zeros.
#
# Seen with qemu-utils 1:7.2+dfsg-7+deb12u18+b3, on an NBD export full of ones (a loop device shows the same):
#     off: zeros
#     metadata: ones
#     falloc: ones
#     full: ones
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qcow2-preallocated-on-a-device: $2" >&2
	exit "$1"
}

server=
clean_up()
{
	[ -z "$server" ] || ! kill "$server" || wait "$server" || :
	rm -rf "$folder"
}

folder=$(mktemp -d)
trap clean_up EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-utils='1:7.2+dfsg-7+deb12u18+b3' libaio1=0.3.113-4 liburing2=2.3-3 libnuma1=2.0.16-1 \
	libglib2.0-0=2.74.6-2+deb12u9 2>apt.log || stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH
qemu-img --version >/dev/null || stop 2 "qemu-img does not run"

tr '\0' '\1' </dev/zero | head -c 8388608 >storage
qemu-nbd -t -f raw -k "$folder/socket" storage &
server=$!
until [ -S socket ]; do
	kill -0 "$server" 2>/dev/null || stop 2 "qemu-nbd does not run"
	sleep 0.1
done
device="nbd+unix:///?socket=$folder/socket"

# holds BYTE: whether all of the image reads as that.
holds()
{
	qemu-io -r -f qcow2 -c "read -P $1 0 4M" "$device" >read.log
}

for preallocation in off metadata falloc full; do
	qemu-img create -q -f qcow2 -o preallocation=$preallocation "$device" 4M || stop 2 "no image with $preallocation"
	qemu-img check -q -f qcow2 "$device" || stop 1 "$preallocation: check no longer calls the image healthy"
	found=neither
	! holds 0 || found=zeros
	! holds 1 || found=ones
	echo "$preallocation: $found"
	case $preallocation:$found in
	off:zeros | metadata:ones | falloc:ones | full:ones) ;;
	*) stop 1 "$preallocation: the new image reads as $found" ;;
	esac
done
