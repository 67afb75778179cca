#!/bin/sh
# Commonly believed: an export of a snapshot-access node on top of QEMU's copy-before-write filter shows the disk as it
# was when the filter was inserted, whatever the guest does later and however the export is read.
#
# True: in this version it depends on the length of the read. After the guest has zeroed a cluster, a read of just
# that cluster returns the old data, but a read that starts there and continues into clusters that the guest has not
# touched returns zeros for it. The block status is wrong in the same way: right for the cluster alone, "zero" for the
# longer range. So qemu-img convert makes a backup that contains the guest's later zeros, and reports no error, although
# the filter has saved the old data. Data that the guest overwrites with other data is read correctly, and a test
# that does only that finds nothing.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3), on a disk full of ones:
#     overwritten by the guest: 64k: old data, 128k: old data
#     zeroed by the guest: 64k: old data, 128k: not the old data
#     the copy: overwritten: old data, zeroed: zeros
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qemu-snapshot-access-zeros: $2" >&2
	exit "$1"
}

daemon=
clean_up()
{
	[ -z "$daemon" ] || ! kill "$daemon" || wait "$daemon" || :
	rm -rf "$folder"
}

folder=$(mktemp -d)
trap clean_up EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

apt-get -qq download qemu-utils='1:7.2+dfsg-7+deb12u18+b3' qemu-system-common='1:7.2+dfsg-7+deb12u18+b3' \
	libaio1=0.3.113-4 liburing2=2.3-3 libnuma1=2.0.16-1 libfuse3-3=3.14.0-4 libglib2.0-0=2.74.6-2+deb12u9 2>apt.log ||
	stop 2 "cannot download the packages: $(cat apt.log)"
for package in *.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done
PATH=$folder/root/usr/bin:$PATH
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export PATH LD_LIBRARY_PATH

truncate -s 4M live.raw saved.raw
qemu-io -f raw -c 'write -q -P 1 0 4M' live.raw || stop 2 "cannot write the disk"
qemu-storage-daemon --pidfile ready --nbd-server addr.type=unix,addr.path="$folder/socket" \
	--blockdev file,node-name=live,filename=live.raw,discard=unmap \
	--blockdev file,node-name=saved,filename=saved.raw \
	--blockdev copy-before-write,node-name=filter,file=live,target=saved \
	--blockdev snapshot-access,node-name=snapshot,file=filter \
	--export nbd,id=guest,node-name=filter,name=guest,writable=on \
	--export nbd,id=snapshot,node-name=snapshot,name=snapshot &
daemon=$!
until [ -s ready ]; do
	kill -0 "$daemon" 2>/dev/null || stop 2 "qemu-storage-daemon does not run"
	sleep 0.1
done
guest="nbd+unix:///guest?socket=$folder/socket"
snapshot="nbd+unix:///snapshot?socket=$folder/socket"

# holds BYTE OFFSET LENGTH [FILE]: whether all that is read there is BYTE.
holds()
{
	qemu-io -r -f raw -c "read -P $1 $2 $3" "${4:-$snapshot}" >read.log
}

old_data()
{
	if holds 1 "$@"; then echo "old data"; else echo "not the old data"; fi
}

qemu-io -f raw -c 'write -q -P 2 1M 64k' -c 'write -q -z -u 2M 64k' "$guest" || stop 2 "the guest cannot write"

seen="$(old_data 1M 64k), 128k: $(old_data 1M 128k)"
echo "overwritten by the guest: 64k: $seen"
[ "$seen" = "old data, 128k: old data" ] || stop 1 "overwritten data is read differently"
seen="$(old_data 2M 64k), 128k: $(old_data 2M 128k)"
echo "zeroed by the guest: 64k: $seen"
[ "$seen" = "old data, 128k: not the old data" ] || stop 1 "zeroed data is read differently"

qemu-img convert -f raw -O raw "$snapshot" copy.raw || stop 1 "the snapshot is no longer copied without an error"
holds 1 0 2M copy.raw || stop 1 "the copy has other data before the zeros"
holds 0 2M 64k copy.raw || stop 1 "the copy no longer has the zeros of the guest"
holds 1 2112k 1984k copy.raw || stop 1 "the copy has other data after the zeros"
echo "the copy: overwritten: old data, zeroed: zeros"
