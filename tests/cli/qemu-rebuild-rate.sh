# checkpoint rebuild --rate of a drive that is larger than the buffer for what a guest overwrites: QEMU is asked for a part of
# the drive at a time, so that no more than that can wait there.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
make_random a.raw 3000000 1
truncate -s 600M a.raw
qemu-img create -q -f qcow2 b.qcow2 32M
start_drives
expect_code 0 "$VMABAK" backup -q "qemu:$qmp" -o 0.vmab
write_A 5 1M 64k
"$PYTHON" -S -c 'import json, os, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
print(json.dumps({"execute": "qmp_capabilities"}), file=lines, flush=True)
for line in lines:
    said = json.loads(line)
    if "return" in said:
        open("listening", "w").write("yes")
    if said.get("event") == "JOB_STATUS_CHANGE" and said["data"]["status"] == "created":
        open("jobs", "a").write(said["data"]["id"] + "\n")' "$asking" &
listener=$!
on_exit "kill $listener 2>/dev/null"
wait_until [ -e listening ]
expect_code 0 "$VMABAK" checkpoint rebuild --parent 0.vmab --rate 100G "qemu:$qmp" --state state --json
expect_json "$out" "[x['differing_clusters'] for x in d['drives']] == [1, 0]"
jobs_are()
{
	[ "$(grep -v -e '-probe$' jobs | sort -u | wc -l)" = "$1" ] # a newer QEMU is tried first
}
wait_until jobs_are 3 # 512 and 88 MiB of A, and all of B
kill $listener
write_A 6 550M 64k
track 0 -o 1.vmab --parent 0.vmab --json
is_increment - A=3 B=1
nothing_in_qemu
