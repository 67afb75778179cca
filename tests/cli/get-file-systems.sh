# vmabak ls and get of XFS, Btrfs and FAT, in partitions of a GPT.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest mkfs.xfs mkfs.btrfs mkfs.vfat mcopy

mkdir tree
seq 1 50000 >tree/numbers
cat >proto <<'BODY'
/
0 0
d--755 0 0
numbers ---644 0 0 tree/numbers
$
BODY
truncate -s 300M xfs.raw
mkfs.xfs -q -p proto xfs.raw
truncate -s 128M btrfs.raw
mkfs.btrfs -q --rootdir tree btrfs.raw
truncate -s 40M fat.raw
mkfs.vfat -F 32 fat.raw >fat.out
mcopy -i fat.raw tree/numbers ::numbers

"$PYTHON" -S - <<'BODY'
import binascii, os, struct
SECTOR, parts, first = 512, [], 2048
disk = open("disk.raw", "wb")
for number, name in enumerate(("xfs.raw", "btrfs.raw", "fat.raw")):
    size = os.path.getsize(name)
    with open(name, "rb") as source:
        at = 0
        while at < size:
            data = source.read(1 << 20)
            if data.strip(b"\0"):
                disk.seek(first * SECTOR + at)
                disk.write(data)
            at += len(data)
    last = first + size // SECTOR - 1
    parts.append(struct.pack("<16s16sQQQ72s", b"\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4",
                             bytes([number + 1]) * 16, first, last, 0, b"p\0"))
    first = last + 1
total = first + 2048
disk.truncate(total * SECTOR)
table = b"".join(parts).ljust(128 * 128, b"\0")

def header(own, other, at):
    body = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, own, other, 34, total - 34, b"d" * 16, at, 128,
                       128, binascii.crc32(table))
    return body[:16] + struct.pack("<I", binascii.crc32(body)) + body[20:]

for at, data in ((0, bytes(446) + bytes([0, 0, 2, 0, 0xee, 255, 255, 255]) + struct.pack("<II", 1, total - 1) + bytes(48) + b"\x55\xaa"),
                 (SECTOR, header(1, total - 1, 2)), (2 * SECTOR, table),
                 ((total - 33) * SECTOR, table), ((total - 1) * SECTOR, header(total - 1, 1, total - 33))):
    disk.seek(at)
    disk.write(data)
BODY
expect_code 0 "$VMABAK" backup -o a.vmab disk=disk.raw
expect_code 0 "$VMABAK" ls a.vmab disk
expect_text "$out" 'disk:gpt1  Filesystem type xfs' 'disk:gpt2  Filesystem type btrfs' 'disk:gpt3  Filesystem type fat'
for partition in gpt1 gpt2 gpt3; do
	expect_code 0 "$VMABAK" ls a.vmab disk:$partition:/
	expect_text "$out" '288894 ' ' numbers'
	expect_code 0 "$VMABAK" get -q a.vmab disk:$partition:/numbers -o $partition
	same_file tree/numbers $partition
done
