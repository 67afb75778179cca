#!/bin/sh
# Outputs on a disk that cannot keep what it took: a loop device over a file of a small tmpfs, as a thin volume whose pool is
# full. write() succeeds, write-back fails, and a moment later there is room again, as when the pool is extended. Whatever
# ends with 0 must be whole once the page cache is dropped; whatever fails leaves nothing under its name.
#
#   tests/fault/thin.sh VMABAK [ext4 | xfs]...
#
# Needs root, loop devices, and mkfs of each; 77 without. Drops the caches of the machine.
set -u
vmabak=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- ext4 xfs
PATH=$PATH:/usr/sbin:/sbin
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
skip()
{
	echo "skipped: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root"
for program in losetup fallocate nbdinfo qemu-img; do
	command -v $program >/dev/null || skip "no $program here"
done
"$PYTHON" -c 'import nbd' 2>/dev/null || skip "python has no nbd"
for fs; do command -v "mkfs.$fs" >/dev/null || skip "no mkfs.$fs here"; done
[ -n "${THIN_INSIDE:-}" ] || THIN_INSIDE=1 exec unshare -m "$0" "$vmabak" "$@"

work=$(mktemp -d "${TMPDIR:-/tmp}/thin.XXXXXX") || exit 1
loop='' hogger='' serve=''
clean_up()
{
	trap '' EXIT INT TERM
	cd /
	for pid in $hogger $serve; do kill -9 "$pid" 2>/dev/null; done
	umount "$work/mnt" 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
	umount "$work/pool" 2>/dev/null
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
mkdir pool mnt
mount -t tmpfs -o size=200m none pool || skip "may not mount a tmpfs"
runs=0 told=0 lost=0 in_time=0

available()
{
	df --output=avail -B1 pool | tail -n 1
}

# fresh ROOM: an empty file system on $loop at mnt, whose pool has ROOM MiB left.
fresh()
{
	umount mnt 2>/dev/null
	[ -z "$loop" ] || losetup -d "$loop"
	rm -f pool/*
	truncate -s 1G pool/disk
	loop=$(losetup -f --show pool/disk) || skip "no loop devices here"
	case $fs in
	ext4) mkfs.ext4 -q -J size=4 -E lazy_itable_init=0,lazy_journal_init=0 "$loop" ;;
	*) "mkfs.$fs" -q "$loop" ;;
	esac || exit 1
	mount "$loop" mnt || skip "cannot mount $fs"
	[ -z "${2:-}" ] || "$2"
	sync
	fallocate -l $(($(available) - $1 * 1048576)) pool/hog || exit 1
}

# Once the pool is full there is room again, soon.
extend_later()
{
	(
		for _ in $(seq 1200); do
			[ "$(available)" -ge 4096 ] || break
			sleep 0.05
		done
		sleep 0.3
		rm -f pool/hog
	) &
	hogger=$!
}

# What is on the disk, and not in memory.
settle()
{
	kill $hogger 2>/dev/null
	wait $hogger 2>/dev/null
	hogger=''
	rm -f pool/hog
	sync
	umount mnt
	echo 3 >/proc/sys/vm/drop_caches
	mount "$loop" mnt || exit 1
}

# judge NAME CODE LEFT CHECK...: LEFT must not be there if the code is one of failure; else CHECK must succeed.
judge()
{
	name=$1 code=$2 left=$3
	shift 3
	runs=$((runs + 1))
	verdict=told
	case $code in
	0 | 3) "$@" >check 2>&1 && verdict=whole || verdict=LOST ;;
	1 | 6) [ -z "$left" ] || [ ! -e "$left" ] || verdict='LEFT BEHIND' ;;
	*) verdict="UNKNOWN CODE" ;;
	esac
	echo "$fs, $name: exit code $code, $verdict"
	case $verdict in
	told) told=$((told + 1)) ;;
	whole) in_time=$((in_time + 1)) ;;
	*) lost=$((lost + 1)) && cat said check 2>/dev/null ;;
	esac
}

# output NAME LEFT CHECK COMMAND: both in sh.
output()
{
	fresh 60 "${prepare:-}"
	extend_later
	sh -c "$4" >/dev/null 2>said
	code=$?
	settle
	judge "$1" $code "$2" sh -c "$3"
}

# shellcheck disable=SC2016 # for the inner shell
outputs()
{
	export vmabak
	verify='"$vmabak" verify mnt/a.vma*'
	output 'backup' mnt/a.vmab "$verify" '"$vmabak" backup -q --compress none --rate 30M -o mnt/a.vmab root=drive.raw'
	output 'backup to standard output' '' "$verify" '"$vmabak" backup -q --compress none --rate 30M -o - root=drive.raw >mnt/a.vmab'
	output 'convert' mnt/a.vma "$verify" '"$vmabak" convert -q --rate 30M good.vmab -o mnt/a.vma'
	output 'restore' mnt/a.raw 'cmp drive.raw mnt/a.raw' '"$vmabak" restore -q good.vmab -d root=mnt/a.raw'
	output 'restore to qcow2' mnt/a.qcow2 'qemu-img compare -q -f raw -F qcow2 drive.raw mnt/a.qcow2' \
		'"$vmabak" restore -q good.vmab -d root=mnt/a.qcow2'
	output 'salvage' mnt/a/root.raw 'cmp drive.raw mnt/a/root.raw' '"$vmabak" salvage -q good.vmab -C mnt/a'
	prepare=make_old
	output 'restore over a file' '' 'cmp drive.raw mnt/a.raw' '"$vmabak" restore -q --force good.vmab -d root=mnt/a.raw'
	prepare=
}

make_old()
{
	truncate -s 100M mnt/a.raw
}

# ---- serve ----

start_serve()
{
	rm -f c.sock n.sock
	"$vmabak" serve --control c.sock --nbd unix:n.sock "$@" 2>said &
	serve=$!
	for _ in $(seq 600); do
		"$vmabak" status c.sock >/dev/null 2>&1 && return
		sleep 0.05
	done
	cat said
	exit 1
}

stop_serve()
{
	"$vmabak" stop -q --force c.sock >/dev/null 2>&1
	wait $serve
	serve=''
}

make_drive()
{
	fallocate -l 64M mnt/root.raw
	dd if=/dev/zero of=mnt/root.raw bs=1M seek=60 count=4 conv=notrunc,fsync status=none
}

# A write that was answered is lost; a later one that is to be durable meets the error. Flushes must tell from then on.
durable_writes()
{
	for how in 'h.pwrite(B, 60 << 20, nbd.CMD_FLAG_FUA)' 'h.zero(4096, 60 << 20, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_NO_HOLE)' \
		'h.trim(4096, 60 << 20, nbd.CMD_FLAG_FUA)' 'h.flush()'; do
		fresh 1 make_drive
		start_serve root=mnt/root.raw
		"$PYTHON" - "$how" >kept 2>&1 <<'END'
import nbd, os, sys, time
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
A, B = b"A" * (16 << 20), b"B" * 4096
def good(request):
    try:
        request()
        return True
    except nbd.Error:
        return False
h.pwrite(A, 0)
os.sync()
time.sleep(0.5)
good(lambda: exec(sys.argv[1]))
os.unlink("pool/hog")
good(lambda: exec(sys.argv[1]))
print("flushed" if good(h.flush) and good(h.flush) else "failed")
END
		code=1
		grep -qx flushed kept && code=0
		grep -qx 'flushed\|failed' kept || { cat kept && exit 1; }
		stop_serve
		settle
		judge "serve, ${how%%(*}" $code '' "$PYTHON" -c 'import sys
sys.exit(open("mnt/root.raw", "rb").read(16 << 20).count(b"A") != 16 << 20)'
	done
}

# The marks of a map are lost. The next serve must not trust what is there unless it has all.
maps()
{
	truncate -s 64G sparse.raw
	for end in stop kill; do
		fresh 4
		start_serve --map root=mnt/root.map root=sparse.raw
		sync
		rm -f pool/hog
		fallocate -l "$(available)" pool/hog
		"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
for i in range(512):
    h.pwrite(b"x" * 512, i << 27)' || exit 1
		sync
		if [ $end = kill ]; then
			kill -9 $serve
			wait $serve 2>/dev/null
		else
			stop_serve
		fi
		settle
		start_serve --map root=mnt/root.map root=sparse.raw
		dirty=$(nbdinfo --map=qemu:dirty-bitmap:since-0 'nbd+unix:///root?socket=n.sock' | awk '/dirty/ {n += $2} END {print n / 65536}')
		code=1
		grep -qE 'map mnt/root.map: (clean|killed)' said && code=0
		stop_serve
		judge "a map, $end" $code '' [ "$dirty" = 512 ]
	done
	rm sparse.raw
}

head -c 100M /dev/urandom >drive.raw
"$vmabak" backup -q --no-sync --compress none -o good.vmab root=drive.raw || exit 1
for fs; do
	outputs
	durable_writes
	maps
done
echo "thin: $runs runs on a disk that loses pages, $told failed and said so, $in_time were whole, $lost lost data without a word"
[ $lost = 0 ]
