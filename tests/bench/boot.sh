#!/bin/bash
# How long a machine takes to boot from the raw file of its drive, from the export of an archive, and from that of a chain
# of ten: it mounts its drive, reads 64 MiB of files, those of every increment among them, writes, and says that it is up.
# Emulated (TCG), or with KVM by GUEST_ACCEL=kvm.
#
#   boot.sh VMABAK
#
# $ROUNDS (5) rounds after one that is not counted, each in another order; medians, and those of the ratios within rounds.
set -eu
VMABAK=$(realpath "$1")
export VMABAK
SRC=$(realpath "$(dirname "$0")/../..") work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/vmabak-boot.XXXXXX")
export TMPDIR=$work
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work"
need() { for tool; do command -v "$tool" >/dev/null || skip "$tool is not there"; done; }
skip() { echo "skipped: $*"; exit 77; }
lacks() { skip "$@"; }
fail() { echo "$*" >&2; exit 1; }
. "$SRC/tests/live/guest/guest.sh"
need_machine
need mkfs.ext4 debugfs python3

begin_initrd
begin_init
cat >>"$lib_root/init" <<'EOF'
busybox mount -t ext4 /dev/vda /mnt
for file in /mnt/*/*; do [ ! -f $file ] || busybox cat $file >/dev/null || echo "guest: cannot read"; done
echo written >/mnt/new
busybox sync
echo "guest: up"
busybox poweroff -f
EOF
add_modules virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk
pack_initrd | gzip -1 >initrd.gz

# Programs and libraries of this system, as a system has them, in pieces that compress as they do.
mkdir -p files/base files/steps
find /usr/bin /usr/lib -type f -size +16k -size -4096k 2>/dev/null | sort | xargs -d '\n' cat 2>/dev/null | head -c 50331648 |
	split -a 3 -d -b 65536 - files/base/
truncate -s 1G fs.raw
mkfs.ext4 -q -F -d files fs.raw
"$VMABAK" backup -q -o 0.vmab --sums 0.sums root=fs.raw
chain=0.vmab
for step in 1 2 3 4 5 6 7 8 9; do
	find /usr/lib /usr/share -type f -size +16k -size -4096k 2>/dev/null | sort -r | xargs -d '\n' cat 2>/dev/null |
		tail -c +$((step * 1800000)) | head -c 1800000 >piece
	debugfs -w -R "write piece steps/$step" fs.raw 2>/dev/null >/dev/null
	"$VMABAK" backup -q -o $step.vmab --parent $((step - 1)).vmab root=fs.raw
	chain="$step.vmab $chain"
done
"$VMABAK" backup -q -o full.vmab root=fs.raw

# boot DRIVE
boot()
{
	qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -m 192 -nodefaults -no-user-config -display none -serial file:console \
		-kernel "$lib_kernel" -initrd initrd.gz -append "$lib_cmdline" -no-reboot \
		-drive "if=virtio,format=raw,snapshot=on,file=$1" >qemu.out 2>&1
	grep -q '^guest: up' console || fail "it did not boot: $(cat qemu.out console)"
	! grep -q 'cannot read' console || fail "it could not read"
}
# from ARCHIVE...: by an export, whose start counts; $pid is its process.
from()
{
	rm -f x.sock
	"$VMABAK" export -q "$@" --nbd unix:x.sock &
	pid=$!
	until [ -S x.sock ]; do
		kill -0 $pid
		sleep 0.01
	done
	boot 'nbd+unix:///root?socket=x.sock'
}
for round in $(seq 0 "${ROUNDS:-5}"); do
	for row in $(printf 'raw\nfull\nchain\n' | shuf); do
		pid=
		begin=$EPOCHREALTIME
		case $row in
		raw) boot fs.raw ;;
		full) from full.vmab ;;
		*) from $chain ;;
		esac
		end=$EPOCHREALTIME
		[ "$round" = 0 ] || echo "$round $row $begin $end" >>rows
		[ -z "$pid" ] || kill $pid
		wait
	done
done
python3 - rows <<'EOF'
import statistics, sys
took = {}
for line in open(sys.argv[1]):
    number, row, begin, end = line.split()
    took.setdefault(row, []).append((number, float(end) - float(begin)))
raw = dict(took["raw"])
print("| boot from | seconds: median (min to max) | of the raw file's | at most |\n|---|---|---:|---:|")
for row, words in (("raw", "the raw file"), ("full", "an export of a full archive"), ("chain", "an export of a chain of ten")):
    all_of = [s for _, s in took[row]]
    ratio = statistics.median(s / raw[n] for n, s in took[row])
    print(f"| {words} | {statistics.median(all_of):.2f} ({min(all_of):.2f} to {max(all_of):.2f}) | {ratio:.2f} | {'' if row == 'raw' else 1.2} |")
EOF
