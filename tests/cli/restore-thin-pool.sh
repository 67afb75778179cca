# Restores to real thin volumes, in a guest: no old data of a pool that does not zero is left in the drive, and what is
# zeros in it takes no room, whatever the size of a chunk and wherever the volume begins.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/lab/lab.sh"
need dmsetup
begin_lab

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

cp "$SRC/tests/live/guest/thin-init" "$lib_root/init"
cp a.vmab two.vmab "$lib_root"
add_program "$(command -v dmsetup)"
add_modules virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk libcrc32c \
	crc32c_generic dm-mod dm-bufio dm-bio-prison dm-persistent-data dm-thin-pool
pack_initrd >initrd.cpio # not compressed: the guest is slow
timeout 600 qemu-system-x86_64 -accel "${GUEST_ACCEL:-tcg}" -m 256 -nodefaults -no-user-config -display none \
	-serial file:console -kernel "$lib_kernel" -initrd initrd.cpio -append "$lib_cmdline" -no-reboot \
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
