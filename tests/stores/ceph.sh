#!/bin/sh
# A Ceph of one node that is thrown away: a monitor, an OSD on a file, a RADOS gateway that speaks S3. No systemd, no manager.
# The keys are tester/testing-secret, the region is "default".
#
#   tests/stores/ceph.sh FOLDER PORT [MONITOR-PORT]      kill $(cat FOLDER/run/*.pid) ends it
set -eu
folder=$(realpath -m "$1") port=$2 monitor=${3:-$((port + 1))}
rm -rf "$folder"
mkdir -p "$folder/mon" "$folder/osd" "$folder/rgw" "$folder/run" "$folder/log"
fsid=$(cat /proc/sys/kernel/random/uuid) osd=$(cat /proc/sys/kernel/random/uuid)
export CEPH_CONF="$folder/ceph.conf"
# The keyring is outside the monitor's folder, which must be empty; without cephx the gateway does not start.
cat >"$CEPH_CONF" <<END
[global]
fsid = $fsid
mon host = [v2:127.0.0.1:$monitor/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = $folder/keyring
run dir = $folder/run
admin socket = $folder/run/\$name.asok
pid file = $folder/run/\$name.pid
log file = $folder/log/\$name.log
mon allow pool size one = true
mon max pg per osd = 2000
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
[mon.a]
mon data = $folder/mon
[osd.0]
osd data = $folder/osd
osd objectstore = bluestore
bluestore block size = 12884901888
osd memory target = 939524096
[client.rgw.a]
rgw data = $folder/rgw
rgw frontends = beast endpoint=127.0.0.1:$port
rgw thread pool size = 32
rgw run sync thread = false
rgw enable lc threads = false
rgw enable quota threads = false
END

wait_for()
{
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { echo "ceph.sh: waited in vain for: $*" >&2; exit 1; }
		sleep 0.2
	done
}
is_up()
{
	ceph osd stat 2>/dev/null | grep -q '1 up'
}

monmaptool --create --addv a "[v2:127.0.0.1:$monitor]" --fsid "$fsid" "$folder/monmap" >/dev/null
ceph-authtool --create-keyring "$folder/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
for name in client.admin osd.0 client.rgw.a; do
	ceph-authtool "$folder/keyring" --gen-key -n $name --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' >/dev/null
done
ceph-mon -i a --mkfs --monmap "$folder/monmap" --keyring "$folder/keyring"
ceph-mon -i a
ceph osd new "$osd" >/dev/null
# The same uuid as the monitor has been told, or it boots for ever.
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >"$folder/log/mkfs" 2>&1
ceph-osd -i 0 >"$folder/log/start" 2>&1
wait_for is_up
radosgw -n client.rgw.a
wait_for curl -s --noproxy '*' "http://127.0.0.1:$port/"
radosgw-admin user create --uid tester --display-name tester --access-key tester --secret-key testing-secret \
	>"$folder/log/user" 2>&1
