#!/bin/sh
# The tests of object stores against two that others have made, and that are stricter than the small one of the other tests: Ceph's RADOS
# gateway and OpenStack Swift, both from Debian. Installs and starts them; ends them again. As root. Exit 77: cannot be done here.
#
#   tests/stores/check.sh VMABAK [ceph|swift]...
set -u
here=$(cd "$(dirname "$0")" && pwd)
vmabak=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- ceph swift
skip()
{
	echo "skipped: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip 'needs root'
command -v apt-get >/dev/null || skip 'needs the packages of Debian'
command -v radosgw >/dev/null && command -v ceph-osd >/dev/null && command -v swift-proxy-server >/dev/null &&
	command -v swift-object-server >/dev/null && command -v rclone >/dev/null || {
	apt-get update >/dev/null 2>&1
	# Nothing of them is to be started by the system.
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends curl rclone radosgw ceph-mon ceph-osd ceph-common \
		swift-proxy swift-account swift-container swift-object >/dev/null 2>&1 || skip 'the packages cannot be installed'
}

work=$(mktemp -d /var/tmp/vmabak-stores.XXXXXX)
end()
{
	for file in "$work"/*/run/*.pid; do
		[ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null
	done
	for file in "$work"/*/run/*.pid; do
		while [ -s "$file" ] && kill -0 "$(cat "$file")"; do sleep 0.1; done 2>/dev/null
	done
	rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM HUP
# Four free ports after each other.
free_ports()
{
	/usr/bin/python3 -c '
import random, socket
while True:
    first, taken = random.randrange(20000, 30000), []
    try:
        for i in range(4):
            taken.append(socket.socket())
            taken[-1].bind(("127.0.0.1", first + i))
    except OSError:
        continue
    print(first)
    break'
}

code=0
for store; do
	port=$(free_ports)
	begin=$(date +%s)
	"$here/$store.sh" "$work/$store" "$port" || { echo "$store: FAILED to start"; code=1; continue; }
	echo "$store: started in $(($(date +%s) - begin)) s"
	VMABAK=$vmabak CLI_FOLDER="$here/../cli" "$here/suite.sh" "$store" "$port" || code=1
done
exit $code
