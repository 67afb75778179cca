#!/bin/sh
# A full backup of a domain of libvirt, by vmabak and by virtnbdbackup, and then increments of it, by the checkpoints
# that each leaves, after a hundredth of the drives was written: time and the most memory of the program (not of QEMU).
#
#   tests/qemu/bench-libvirt.sh VMABAK [ROUNDS [ROUNDS-OF-FULL-BACKUPS]]    (3, and as many)
#
# Two qcow2 drives of 1 GiB, with file systems full of this machine's own files; they are in the page cache
# and the machine is paused, so that nothing but the backup moves. Rounds are interleaved, medians are told.
# Scratch files and archives go to /tmp.
VMABAK=$(realpath "${1:?usage: bench-libvirt.sh VMABAK [ROUNDS]}")
rounds=${2:-3}
full_rounds=${3:-$rounds}
export VMABAK
CLI_FOLDER=$(cd "$(dirname "$0")/../cli" && pwd)
. "$CLI_FOLDER/lib.sh"
. "$CLI/libvirt.sh"
need virtnbdbackup mkfs.ext4 virsh
guest_kernel
need_libvirt

# fill FOLDER MIB N: the N-th part of so many MiB of files.
fill()
{
	"$PYTHON" - "$@" <<-'END'
	import os, shutil, sys
	to, most, part = sys.argv[1], int(sys.argv[2]) << 20, int(sys.argv[3])
	used = n = 0
	for top in "/usr/lib", "/usr/share":
	    for folder, _, names in sorted(os.walk(top)):
	        for name in sorted(names):
	            path = os.path.join(folder, name)
	            if os.path.islink(path) or not os.path.isfile(path) or os.path.getsize(path) > 64 << 20:
	                continue
	            n += 1
	            if n % 2 == part and used + os.path.getsize(path) < most:
	                used += os.path.getsize(path) + 2048
	                shutil.copyfile(path, f"{to}/{n}")
	END
}

for n in 0 1; do
	mkdir files
	fill files 800 $n
	truncate -s 1G $n.raw
	mkfs.ext4 -q -F -N 200000 -d files $n.raw
	qemu-img convert -f raw -O qcow2 $n.raw $n.qcow2
	rm -r files $n.raw
done
domain_xml web "$(disk qcow2 "$PWD/0.qcow2" vda) $(disk qcow2 "$PWD/1.qcow2" vdb)" |
	grep -v '<initrd>' | sed "s,<kernel>.*</kernel>,," >"$lv/web.xml"
: >"$lv/initrd.gz"
sed -i '/<cmdline>/d; s,hvm</type>,hvm</type></os>,' "$lv/web.xml"
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
as_user virsh -q define "$lv/web.xml"
as_user virsh -q start --paused web
cat ./*.qcow2 >/dev/null

# measured NAME COMMAND...: seconds, MiB of memory and MiB written to the folder out, as a line of $lv/results. $keep: what
# is in the folder stays, and counts.
keep=
measured()
{
	lib_name=$1
	shift
	[ -n "$keep" ] || rm -rf out
	[ -d out ] || as_user mkdir out
	sync
	"$PYTHON" - "$lib_name" "$@" <<-'END' >>"$lv/results"
	import os, sys, time
	begin = time.monotonic()
	child = os.fork()
	if child == 0:
	    null = os.open("/dev/null", os.O_RDWR)
	    os.dup2(null, 0)
	    os.dup2(os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
	    os.dup2(1, 2)
	    os.execvp(sys.argv[2], sys.argv[2:])
	_, status, usage = os.wait4(child, 0)
	seconds = time.monotonic() - begin
	if status:
	    sys.exit(f"{sys.argv[1]}: {status}: " + open("log").read()[-2000:])
	size = sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for folder, _, names in os.walk("out") for name in names)
	print(sys.argv[1], f"{seconds:.2f} {usage.ru_maxrss / 1024:.0f} {size / 2**20:.0f} {os.getloadavg()[0]:.1f}")
	END
}

peer="as_user virtnbdbackup -U qemu:///session -d web -l full -n -S $lv/tmp -f $lv/tmp/peer.sock -o out"
ours="as_user $vmabak backup -q libvirt:web -o out/web.vmab"
for round in $(seq "$full_rounds"); do
	measured vmabak-none $ours --compress none
	measured virtnbdbackup-none $peer
	measured vmabak-zstd:1 $ours
	measured virtnbdbackup-lz4 $peer -z
done

# Increments: each of them has its full backup, and its own domain, as virtnbdbackup refuses one with a checkpoint that is
# not its own.
write_some() # DOMAIN: a hundredth of each drive, in pieces of 64 KiB all over it
{
	for lib_disk in 0 1; do
		for lib_at in $(seq $((round * 64)) 6400 1048575); do
			echo "qemu-io -d /machine/peripheral/virtio-disk$lib_disk/virtio-backend" \
				"\"write -q -P $((round * 2 + lib_disk + 1)) ${lib_at}k 64k\""
		done
	done | sed "s,.*,qemu-monitor-command $1 --hmp '&'," >"$lv/writes"
	as_user virsh -q <"$lv/writes" >/dev/null
}
rm -rf out
as_user mkdir out peer
for lib_disk in 0 1; do
	cp $lib_disk.qcow2 peer-$lib_disk.qcow2
done
sed "s,<name>web,<name>peer,; s,$PWD/,&peer-,g" "$lv/web.xml" >"$lv/peer.xml"
[ "$(id -u)" != 0 ] || chown -R nobody "$lv/work"
as_user virsh -q define "$lv/peer.xml"
as_user virsh -q start --paused peer
as_user "$vmabak" backup -q libvirt:web --track -o out/0.vmab
as_user virtnbdbackup -U qemu:///session -d peer -l full -n -S "$lv/tmp" -f "$lv/tmp/peer.sock" -o peer >"$lv/peer.log" 2>&1 ||
	fail "$(tail -n 5 "$lv/peer.log")"
keep=1
for round in $(seq "$rounds"); do
	write_some web
	write_some peer
	measured vmabak-inc as_user "$vmabak" backup -q libvirt:web --track --parent out/$((round - 1)).vmab -o out/$round.vmab
	measured virtnbdbackup-inc as_user virtnbdbackup -U qemu:///session -d peer -l inc -n -S "$lv/tmp" -f "$lv/tmp/peer.sock" \
		-o peer
done
cat "$lv/results"
"$PYTHON" - "$lv/results" <<'END'
import statistics, sys
rows = {}
for line in open(sys.argv[1]):
    name, *values = line.split()
    rows.setdefault(name, []).append([float(value) for value in values])
medians = {name: [statistics.median(column) for column in zip(*values)] for name, values in rows.items()}
for name, (seconds, memory, size, load) in medians.items():
    print(f"{name:20} {seconds:6.2f} s  {memory:5.0f} MiB of memory  {size:6.0f} MiB written  load {load:.1f}")
for ours, peer in ("vmabak-none", "virtnbdbackup-none"), ("vmabak-zstd:1", "virtnbdbackup-lz4"):
    if ours in medians:
        print(f"{ours} / {peer}: time {medians[ours][0] / medians[peer][0]:.2f}x (bar 0.5), "
              f"memory {medians[ours][1] / medians[peer][1]:.2f}x (bar 0.3)")
print(f"vmabak-inc / virtnbdbackup-inc: time {medians['vmabak-inc'][0] / medians['virtnbdbackup-inc'][0]:.2f}x (bar 0.3)")
END
