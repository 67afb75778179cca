#!/bin/sh
# An OpenStack Swift of one node that is thrown away, with its S3 interface. Keys test:tester/testing, the region is us-east-1.
#
#   tests/stores/swift.sh FOLDER PORT      kill $(cat FOLDER/run/*.pid) ends it; it takes the three ports after PORT, too
set -eu
folder=$(realpath -m "$1") port=$2
rm -rf "$folder"
mkdir -p "$folder/etc" "$folder/node/disk" "$folder/run" "$folder/log"
cd "$folder/etc"
cat >swift.conf <<END
[swift-hash]
swift_hash_path_suffix = one
swift_hash_path_prefix = two
[storage-policy:0]
name = only
default = yes
END

# server NAME PORT
server()
{
	swift-ring-builder $1.builder create 4 1 1 >/dev/null
	swift-ring-builder $1.builder add "r1z1-127.0.0.1:$2/disk" 1 >/dev/null
	swift-ring-builder $1.builder rebalance >/dev/null 2>&1 || :	# one copy is a warning
	cat >$1-server.conf <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $2
workers = 1
user = $(id -un)
swift_dir = $folder/etc
devices = $folder/node
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = $1-server
[app:$1-server]
use = egg:swift#$1
[$1-replicator]
[$1-updater]
[$1-auditor]
END
}
# filter NAME [LINE...]: one of the proxy
filter()
{
	name=$1
	shift
	printf '[filter:%s]\nuse = egg:swift#%s\n' $name "$(echo $name | sed 's/^cache$/memcache/; s/-/_/g')" >>proxy-server.conf
	for line; do
		echo "$line" >>proxy-server.conf
	done
}

server account $((port + 1))
server container $((port + 2))
server object $((port + 3))
cat >proxy-server.conf <<END
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $port
workers = 2
user = $(id -un)
swift_dir = $folder/etc
[pipeline:main]
pipeline = catch_errors proxy-logging cache s3api tempauth copy slo dlo proxy-logging proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
END
filter tempauth 'user_test_tester = testing .admin'
filter s3api 'location = us-east-1' 's3_acl = no'
filter cache "memcache_servers = 127.0.0.1:1"	# there is none, which is well
for name in catch_errors proxy-logging copy slo dlo; do
	filter $name
done
for name in account container object proxy; do
	SWIFT_DIR="$folder/etc" setsid swift-$name-server "$folder/etc/$name-server.conf" >"$folder/log/$name" 2>&1 &
	echo $! >"$folder/run/$name.pid"
done
tries=0
until curl -sf --noproxy '*' "http://127.0.0.1:$port/info" >/dev/null; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || { echo "swift.sh: the proxy does not answer" >&2; exit 1; }
	sleep 0.2
done
