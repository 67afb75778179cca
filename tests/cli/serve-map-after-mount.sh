# A file system that went without being unmounted takes a file's time of change with it, and comes back within the same boot:
# a map does not count for a drive on one that was mounted anew.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh mkfs.ext4 mount
truncate -s 64M disk
mkfs.ext4 -q -F disk
loop_device disk
mkdir mnt
mount "$loop" mnt 2>/dev/null || skip "may not mount here"
on_exit "umount -l '$PWD/mnt' 2>/dev/null"
truncate -s 8M mnt/a.raw
[ -e "/sys/fs/ext4/${loop#/dev/}" ] || skip "no /sys/fs/ext4 here"
start_serve --map a.map a=mnt/a.raw
guest a 'h.pwrite(b"x" * 512, 0)'
stop_serve
start_serve --map a.map a=mnt/a.raw
expect_text serve.err 'map a.map: clean'
guest a 'h.pwrite(b"x" * 512, 0)'
kill_serve
start_serve --map a.map a=mnt/a.raw
expect_text serve.err 'map a.map: killed'
stop_serve

# The drive was changed meanwhile, and its time was lost.
mounted_anew()
{
	touch -r mnt/a.raw then
	put mnt/a.raw 70000 changed
	touch -r then mnt/a.raw
	umount mnt
	# A mount namespace that was made meanwhile, as other tests make them, keeps it until it ends.
	wait_until [ ! -e "/sys/fs/ext4/${loop#/dev/}" ]
	mount "$loop" mnt
	start_serve --map a.map a=mnt/a.raw
	expect_text serve.err "map a.map: unsure, begun anew"
}
mounted_anew
guest a 'h.pwrite(b"x" * 512, 0)'
kill_serve
mounted_anew
stop_serve
