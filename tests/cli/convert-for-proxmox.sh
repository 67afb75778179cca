# An archive named as Proxmox VE names them gets the #qmdump#map lines that its qmrestore demands, where its
# qemu-server.conf knows the drives; else a warning says that it cannot be restored there.
. "$(dirname "$0")/lib.sh"

make_random a.raw 1000448 1
make_random b.raw 66048 2
printf 'boot: order=scsi0\nide2: none,media=cdrom\nscsi0: local-lvm:vm-100-disk-0,size=20M\nscsi10: nfs:100/vm-100-disk-1.qcow2\n' >100.conf
printf 'virtio1: /dev/vg/web\ntpmstate0: local:vm-100-tpm,size=4M\n[before]\nscsi3: local:snap\n' >>100.conf
name=vzdump-qemu-100-2026_11_30-01_00_00
expect_code 0 "$VMABAK" backup -o $name.vma.zst -c qemu-server.conf=100.conf drive-scsi0=a.raw scsi10=b.raw \
	drive-virtio1=a.raw drive-tpmstate0-backup=b.raw
expect_no_text "$err" warning
expect_code 0 "$VMABAK" config $name.vma.zst qemu-server.conf
{
	cat 100.conf
	cat <<'END'
#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:
#qmdump#map:scsi10:scsi10:nfs:qcow2:
#qmdump#map:virtio1:drive-virtio1::raw:
#qmdump#map:tpmstate0:drive-tpmstate0-backup:local:raw:
END
} >expected
same_file expected "$out"
# They stay as they are when they are there, and a line without an end gets one.
expect_code 0 "$VMABAK" convert $name.vma.zst -o vzdump-qemu-101.vma
expect_code 0 "$VMABAK" config vzdump-qemu-101.vma qemu-server.conf
same_file expected "$out"
printf 'scsi0: local:1' >one.conf
expect_code 0 "$VMABAK" backup -o vzdump-qemu-102.vma -c qemu-server.conf=one.conf drive-scsi0=a.raw
expect_code 0 "$VMABAK" config vzdump-qemu-102.vma qemu-server.conf
printf 'scsi0: local:1\n#qmdump#map:scsi0:drive-scsi0:local:raw:\n' >expected
same_file expected "$out"
expect_code 0 "$VMABAK" verify vzdump-qemu-102.vma

# Under another name a config is stored as it is.
expect_code 0 "$VMABAK" backup -o plain.vma -c qemu-server.conf=100.conf drive-scsi0=a.raw
expect_code 0 "$VMABAK" config plain.vma qemu-server.conf
same_file 100.conf "$out"
# convert adds them, too.
expect_code 0 "$VMABAK" convert plain.vma -o vzdump-qemu-103.vma.gz
expect_code 0 "$VMABAK" config vzdump-qemu-103.vma.gz qemu-server.conf
expect_text "$out" '#qmdump#map:scsi0:drive-scsi0:local-lvm:raw:'

# What Proxmox VE would refuse.
expect_code 3 "$VMABAK" backup -o vzdump-qemu-104.vma.zst root=a.raw
expect_text "$err" 'warning: vzdump-qemu-104.vma.zst: Proxmox VE will not restore it: it needs the file'
expect_code 3 "$VMABAK" backup -o vzdump-qemu-105.vma -c qemu-server.conf=100.conf root=a.raw drive-scsi0=a.raw
expect_text "$err" 'qemu-server.conf does not have drive root'
expect_code 3 "$VMABAK" backup -o vzdump-qemu-106.vma -c qemu-server.conf=100.conf drive-scsi3=a.raw
expect_text "$err" 'qemu-server.conf does not have drive drive-scsi3'
expect_code 0 "$VMABAK" config $name.vma.zst qemu-server.conf
cp "$out" mapped.conf
expect_code 3 "$VMABAK" backup -o vzdump-qemu-107.vma -c qemu-server.conf=mapped.conf drive-scsi0=a.raw
expect_text "$err" 'maps drive scsi10, which is not in the archive'
expect_code 0 "$VMABAK" backup -o vzdump-qemu-108.vmab root=a.raw
