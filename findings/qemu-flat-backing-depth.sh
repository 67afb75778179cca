#!/bin/sh
# Commonly believed: backing_file_depth in query-named-block-nodes is the number of backing files below a node, and
# flat=true only leaves out the nested "backing-image", as the reference says; so 0 means that an image stands alone.
#
# True: with flat=true the depth is 0 for every node. An image whose backing file is given on the command line has no
# "backing-filename" either, as that is what its header says. Just "backing_file" tells of it. Without flat the depth
# is not that number either: a throttle node over an image without any backing file has a depth of 1. A backup that
# copies "top" only where it believes that nothing is below lacks all that the backing file holds.
#
# Seen with QEMU 7.2.22 (1:7.2+dfsg-7+deb12u18+b3):
#     flat: top has depth 0, backing_file base.qcow2, no backing-filename
#     not flat: top has depth 1, the throttle node over base has depth 1
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "qemu-flat-backing-depth: $2" >&2
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

qemu-img create -q -f qcow2 base.qcow2 4M && qemu-img create -q -f qcow2 top.qcow2 4M || stop 2 "cannot make images"
qemu-storage-daemon --pidfile ready --chardev socket,id=monitor,path="$folder/socket",server=on,wait=off \
	--monitor chardev=monitor --object throttle-group,id=limits \
	--blockdev qcow2,node-name=base,file.driver=file,file.filename=base.qcow2,read-only=on \
	--blockdev throttle,node-name=throttle,throttle-group=limits,file=base,read-only=on \
	--blockdev qcow2,node-name=top,file.driver=file,file.filename=top.qcow2,backing=base &
daemon=$!
until [ -s ready ]; do
	kill -0 "$daemon" 2>/dev/null || stop 2 "qemu-storage-daemon does not run"
	sleep 0.1
done

python3 - "$folder/socket" <<'END2' || stop $? "not as expected, or not to be asked"
import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.settimeout(60)
try:
    monitor.connect(sys.argv[1])
    lines = monitor.makefile("rw")
    lines.readline()

    def ask(command, **arguments):
        print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
        return json.loads(lines.readline())["return"]

    ask("qmp_capabilities")
    flat = {node["node-name"]: node for node in ask("query-named-block-nodes", flat=True)}
    deep = {node["node-name"]: node for node in ask("query-named-block-nodes")}
except (OSError, ValueError, KeyError) as error:
    print(error, file=sys.stderr)
    sys.exit(2)
top = flat["top"]
print(f"flat: top has depth {top['backing_file_depth']}, backing_file {top.get('backing_file')},",
      f"backing-filename {top['image'].get('backing-filename')}")
print(f"not flat: top has depth {deep['top']['backing_file_depth']},",
      f"the throttle node over base has depth {deep['throttle']['backing_file_depth']}")
sys.exit(not (top["backing_file_depth"] == 0 and top["backing_file"] == "base.qcow2" and
              "backing-filename" not in top["image"] and deep["top"]["backing_file_depth"] == 1 and
              deep["throttle"]["backing_file_depth"] == 1))
END2
