# What a server has may be a thin volume, too: a server that leaves out zeros where nothing was written yet, and then
# uncovers old data when the neighbours are.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
need nbdkit
nbdkit --dump-plugin sh >/dev/null 2>&1 || skip "nbdkit takes no scripts here"

# Zeros before data, in chunks of 256 KiB, and blocks of zeros among data.
make_random some.bin 1048576 1
truncate -s 1040000 drive.raw
for at in 1 7 30 31 33 80 126 200 255; do
	dd if=some.bin of=drive.raw bs=4096 skip=$at seek=$at count=1 conv=notrunc status=none
done
truncate -s 1040000 drive.raw
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw
make_full pool.raw 1048576
mkdir given
cat >plugin <<END
#!/bin/sh
cd '$(pwd)'
chunks()
{
	seq \$((\$1 / 262144)) \$(((\$1 + \$2 - 1) / 262144))
}
case \$1 in
get_size) echo 1048576 ;;
thread_model) echo serialize_all_requests ;;
can_write | can_zero | can_flush) ;;
pread) dd if=pool.raw iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none ;;
pwrite)
	dd of=pool.raw oflag=seek_bytes seek=\$4 conv=notrunc status=none
	for chunk in \$(chunks \$4 \$3); do >given/\$chunk; done
	;;
zero)
	for chunk in \$(chunks \$4 \$3); do
		from=\$((chunk * 262144)) to=\$((chunk * 262144 + 262144))
		[ \$from -ge \$4 ] || from=\$4
		[ \$to -le \$((\$4 + \$3)) ] || to=\$((\$4 + \$3))
		[ ! -e given/\$chunk ] || dd if=/dev/zero of=pool.raw iflag=count_bytes count=\$((to - from)) \\
			oflag=seek_bytes seek=\$from conv=notrunc status=none
	done
	;;
flush) ;;
*) exit 2 ;;
esac
END
chmod 755 plugin
serve_nbdkit thin sh "$(pwd)/plugin"
expect_code 0 "$VMABAK" restore a.vmab --force -d "disk0=$(nbd_uri thin)"
for chunk in 0 1 2 3; do
	[ -e given/$chunk ] || dd if=/dev/zero of=pool.raw bs=262144 seek=$chunk count=1 conv=notrunc status=none
done
cmp -n 1040000 drive.raw pool.raw || fail "old data"
tail -c +1040001 pool.raw | tr -d '\0' | cmp - /dev/null || fail "past the drive"
