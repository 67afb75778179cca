#!/bin/sh
# Increments of a running domain of libvirt: backup --track --parent, and virtnbdbackup's, each of a domain of its own of the
# same drive, of which the same was written before.
#
#   libvirt.sh VMABAK
#
# $ROUNDS (5) rounds after one that is not counted, in both orders by turns; medians, and the ratio of the times within rounds.
VMABAK=$(realpath "$1")
SRC=$(realpath "$(dirname "$0")/../..")
CLI_FOLDER=$SRC/tests/cli
export VMABAK CLI_FOLDER
. "$CLI_FOLDER/lib.sh"
. "$CLI/libvirt.sh"
need virtnbdbackup bc
need_libvirt

truncate -s 4G d.raw
"$PYTHON" -c 'import os
with open("d.raw", "r+b") as f:
    for at in range(0, 4 << 30, 64 << 20):
        f.seek(at)
        f.write(os.urandom(16 << 20))'
for name in ours theirs; do
	qemu-img convert -f raw -O qcow2 d.raw $name.qcow2
	idle_domain $name "$(disk qcow2 "$PWD/$name.qcow2" vda)"
done
rm d.raw

# written N: 16 MiB in 16 places, of both.
written()
{
	head -c 1048576 /dev/urandom >random
	chmod 644 random
	for domain in ours theirs; do
		for lib_at in $(seq 0 15); do
			as_user virsh -q qemu-monitor-command $domain --hmp "qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"write -s $PWD/random $((lib_at * 256 + $1))M 1M\"" >"$lv/io"
			! grep -i 'error\|failed\|invalid\|usage' "$lv/io" || fail "a write: $(cat "$lv/io")"
		done
	done
	sync
}

# seconds COMMAND...
seconds()
{
	lib_began=$(date +%s%N)
	"$@" >"$lv/log" 2>&1 || fail "$*: $(cat "$lv/log")"
	echo "scale=3; ($(date +%s%N) - $lib_began) / 1000000000" | bc
}

ours() { seconds as_user "$vmabak" backup -q libvirt:ours --track ${2:+--parent $2.vmab} -o "$1.vmab"; }
theirs() { seconds as_user virtnbdbackup -U qemu:///session -d theirs -l $1 -o to; }

a=$(ours 0)
b=$(theirs full)
echo "full: vmabak $a s, virtnbdbackup $b s"
for n in $(seq $((${ROUNDS:-5} + 1))); do
	written $n
	if [ $((n % 2)) = 0 ]; then
		a=$(ours $n $((n - 1)))
		b=$(theirs inc)
	else
		b=$(theirs inc)
		a=$(ours $n $((n - 1)))
	fi
	[ $n = 1 ] || echo "$a $b" >>"$lv/times"
done
echo "the last increments: $(size_of "$n.vmab") bytes, $(cat to/*inc*$(ls to | sed -n 's/.*inc.*\.\([0-9]*\)\.data$/\1/p' | sort -n | tail -n 1)* | wc -c) bytes"
"$PYTHON" - "$lv/times" <<'END'
import statistics, sys
rows = [tuple(map(float, line.split())) for line in open(sys.argv[1])]
for name, column in ("vmabak", 0), ("virtnbdbackup", 1):
    times = [row[column] for row in rows]
    print(f"increment, {name}: {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f}) s")
print(f"ratio: {statistics.median(a / b for a, b in rows):.2f}")
END
