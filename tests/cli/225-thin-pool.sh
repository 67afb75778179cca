# Restores to real thin volumes, in a guest: no old data of a pool that does not zero is left in the drive, and what is
# zeros in it takes no room, whatever the size of a chunk and wherever the volume begins.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_live_tools
need_guest
need dmsetup ldd xz

"$PYTHON" -c 'import random
source = random.Random(2)
with open("drive.raw", "wb") as file:
    for i in range(2048):
        if i < 700 and source.random() < 0.2 or i == 1500:
            file.seek(i * 4096)
            file.write(source.randbytes(4096))
    file.truncate(8 << 20)'
make_random other.raw 100000 3
truncate -s 8M other.raw
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw
expect_code 0 "$VMABAK" backup -q -o two.vmab one=drive.raw two=other.raw
make_full pool.raw 20000000
truncate -s 2G pool.raw
truncate -s 4M meta.raw

root=root
mkdir -p $root/bin $root/sbin $root/dev $root/proc $root/sys $root/modules
cp "$lib_busybox" $root/bin/busybox
ln -s busybox $root/bin/sh
cp "$SRC/tests/live/guest/thin-init" $root/init
cp "$VMABAK" $root/bin/vmabak
cp "$(command -v dmsetup)" $root/sbin/dmsetup
cp a.vmab two.vmab $root
chmod 755 $root/init
for library in $(ldd "$VMABAK" "$(command -v dmsetup)" | grep -o '/[^ ]*' | grep -v ':$' | sort -u); do
	mkdir -p "$root$(dirname $library)"
	cp -L $library $root$library
done
for module in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk libcrc32c \
	crc32c_generic dm-mod dm-bufio dm-bio-prison dm-persistent-data dm-thin-pool; do
	for file in $(find "/lib/modules/$lib_version" -name "$module.ko" -o -name "$module.ko.xz"); do
		case $file in
		*.xz) xz -dc $file >$root/modules/$module.ko ;;
		*) cp $file $root/modules/ ;;
		esac
	done
done
[ -e $root/modules/dm-thin-pool.ko ] || skip "the kernel of the guest has no dm-thin-pool"
(cd $root && find . | cpio -o -H newc --quiet | gzip -1) >initrd.gz
timeout 600 qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -m 256 -nodefaults -no-user-config -display none \
	-serial file:console -kernel "$lib_kernel" -initrd initrd.gz -append "console=ttyS0 quiet panic=1" -no-reboot \
	-drive if=virtio,format=raw,file=pool.raw -drive if=virtio,format=raw,file=meta.raw \
	-drive if=virtio,format=raw,readonly=on,file=drive.raw \
	-drive if=virtio,format=raw,readonly=on,file=other.raw >qemu.out 2>&1 || fail "the guest: $(cat qemu.out console)"
tr -d '\r' <console >told
grep -q '^thin: done' told || fail "the guest: $(tail -n 30 told)"
[ "$(grep -c '^thin: [0-9 ]*: same' told)" = 6 ] || fail "$(tail -n 30 told)"
expect_text told 'thin: parts: same'
# Chunks of 64 KiB: those of the data alone.
expect_text told "thin: 128 0: same, $("$PYTHON" -c 'data = open("drive.raw", "rb").read()
print(sum(data[i:i + 65536].count(0) < 65536 for i in range(0, len(data), 65536)))')"
