#!/bin/sh
# Commonly believed: an internal snapshot of a qcow2 image is read as the disk was when it was taken, with
# "qemu-img convert -l" and with "qemu-nbd --snapshot": the file keeps its own table of clusters, and its own size.
#
# True: it is read in the size that the image has now. After the image was shrunk, the end of the snapshot is left out,
# without a word and with exit code 0, though it is still in the file: "qemu-img snapshot -a" brings it back. After it
# has grown, the snapshot seems to have been that large. A copy of a snapshot that was made before a disk was shrunk,
# as one does to be safe, lacks what was cut off.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3):
#     snapshot of an image of 8 MiB, shrunk to 4 MiB: convert -l gives 4194304 bytes, exit code 0
#     grown to 16 MiB: convert -l gives 16777216 bytes
#     snapshot -a: 8388608 bytes, and the last MiB as it was
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qcow2-snapshot-has-todays-size: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-utils='1:7.2+dfsg-7+deb12u18+b3' libaio1=0.3.113-4 liburing2=2.3-3 libglib2.0-0=2.74.6-2+deb12u9 \
	2>apt.log || stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH

# of_snapshot SIZE: how many bytes the snapshot has once the image has this size.
of_snapshot()
{
	cp before.qcow2 disk.qcow2
	qemu-img resize -q --shrink disk.qcow2 "$1" || stop 2 "cannot resize"
	qemu-img convert -l snapshot.name=old -f qcow2 -O raw disk.qcow2 snapshot.raw || stop 1 "exit code $?, after $1"
	stat -c %s snapshot.raw
}

qemu-img create -q -f qcow2 before.qcow2 8M && qemu-io -f qcow2 -c 'write -q -P 7 7M 1M' before.qcow2 &&
	qemu-img snapshot -c old before.qcow2 || stop 2 "cannot make the image"
grown=$(of_snapshot 16M)
shrunk=$(of_snapshot 4M)
qemu-img snapshot -a old disk.qcow2 || stop 1 "cannot go back"
qemu-img convert -f qcow2 -O raw disk.qcow2 back.raw || stop 2 "cannot convert"
qemu-io -f raw -c 'read -q -P 7 7M 1M' back.raw >said && [ ! -s said ] || stop 1 "the last MiB is not in the file: $(cat said)"
[ "$shrunk $grown $(stat -c %s back.raw)" = '4194304 16777216 8388608' ] ||
	stop 1 "shrunk $shrunk, grown $grown, gone back $(stat -c %s back.raw)"
echo "a snapshot of 8388608 bytes has $shrunk after shrinking and $grown after growing"
