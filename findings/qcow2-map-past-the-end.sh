#!/bin/sh
# Commonly believed: an extent to which `qemu-img map --output=json` gives an offset occupies that part of the image
# file (the manual: without data its sectors are preallocated), so one that reaches past the end of the file shows
# that the file was cut.
#
# True: with extended_l2=on a healthy image can look like that. A whole cluster is allocated when one of its 32
# subclusters is written, but the file only grows to the end of that subcluster. The map gives the rest of the
# cluster an offset past the end of the file, although it also says "present": false. `qemu-img check` finds no errors
# and itself reports an image end beyond the end of the file; the rest of the cluster reads as zeros.
# Without extended_l2 the same write fills the cluster, and nothing reaches past the end. A check for cut files
# must only count extents that have data.
#
# Seen with qemu-utils 1:7.2+dfsg-7+deb12u18+b3 after 4096 bytes had been written:
#     extended_l2=off: file 393216, map reaches 393216, check says 393216
#     extended_l2=on: file 331776, map reaches 393216, check says 393216
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qcow2-map-past-the-end: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
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

# Sets file_bytes, map_end and check_end for a new image with one write of 4096 bytes.
measure()
{
	rm -f image.qcow2
	qemu-img create -q -f qcow2 -o "$1" image.qcow2 16M || stop 2 "no image with $1"
	qemu-io -f qcow2 -c 'write -P 7 0 4k' image.qcow2 >/dev/null || stop 2 "cannot write"
	qemu-img check -q -f qcow2 image.qcow2 || stop 1 "$1: check no longer calls the image healthy"
	qemu-io -r -f qcow2 -c 'read -P 7 0 4k' -c 'read -P 0 4k 60k' image.qcow2 >read.log ||
		stop 1 "$1: the image reads differently: $(cat read.log)"
	file_bytes=$(stat -c %s image.qcow2)
	map_end=$(qemu-img map -f qcow2 --output=json image.qcow2 | awk -F '[:,}]' '
		/"offset"/ {
			for (i = 1; i < NF; i++) {
				if ($i ~ /"length"/) length_bytes = $(i + 1)
				if ($i ~ /"offset"/) offset = $(i + 1)
			}
			if (offset + length_bytes > end) end = offset + length_bytes
		}
		END { print end + 0 }')
	check_end=$(qemu-img check -f qcow2 --output=json image.qcow2 | sed -n 's/.*"image-end-offset": \([0-9]*\).*/\1/p')
	echo "$1: file $file_bytes, map reaches $map_end, check says $check_end"
}

measure extended_l2=off
[ "$map_end" -le "$file_bytes" ] || stop 1 "without subclusters too the map reaches past the end of the file"
measure extended_l2=on
[ "$map_end" -gt "$file_bytes" ] || stop 1 "the map no longer reaches past the end of the file"
[ "$check_end" -gt "$file_bytes" ] || stop 1 "check no longer puts the end of the image past the end of the file"
