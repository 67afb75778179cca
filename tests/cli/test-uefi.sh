# vmabak test of a machine that boots by UEFI, from its own drive, with variables on a drive that its storage made larger.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 mkfs.vfat mcopy nbdcopy
ls /usr/share/OVMF/OVMF_VARS_4M.fd >/dev/null 2>&1 || lacks 'the UEFI firmware of Debian (ovmf)'

# Firmware that finds no system starts its shell, which runs this.
printf '@echo -off\r\necho booted from drive-scsi0\r\n' >startup.nsh
truncate -s 40M esp.raw
mkfs.vfat -F 32 esp.raw >fat.out
mcopy -i esp.raw startup.nsh ::
cp /usr/share/OVMF/OVMF_VARS_4M.fd variables.raw
truncate -s 4M variables.raw
printf 'bios: ovmf\nmachine: q35\nmemory: 128\nefidisk0: local:vm-1-disk-0,efitype=4m\n' >qemu-server.conf
"$VMABAK" backup -q -o a.vmab -c qemu-server.conf drive-scsi0=esp.raw drive-efidisk0=variables.raw
sha256sum a.vmab >sum
expect_code 0 "$VMABAK" test a.vmab --timeout 600 --expect 'booted from drive-scsi0' --overlay written
expect_text "$err" "a.vmab: booted: 'booted from drive-scsi0' after "
sha256sum -c --quiet sum || fail "the archive was changed"
# Variables that the firmware has written are in the overlay, in the place of theirs alone.
"$VMABAK" export -q a.vmab --overlay written --nbd unix:n.sock --control c.sock 2>export.err &
on_exit "kill $! 2>/dev/null"
wait_until [ -S n.sock ]
nbdcopy 'nbd+unix:///drive-efidisk0?socket=n.sock' after.raw
! cmp -s variables.raw after.raw || fail "the firmware has written nothing"
[ "$(tail -c +540673 after.raw | tr -d '\0' | wc -c)" = 0 ] || fail "written behind its variables"
"$VMABAK" stop c.sock

# Variables that fit to no firmware here.
truncate -s 64K small.raw
"$VMABAK" backup -q -o b.vmab -c qemu-server.conf drive-scsi0=esp.raw drive-efidisk0=small.raw
expect_code 1 "$VMABAK" test b.vmab
expect_text "$err" 'boots by UEFI, and no firmware for that, with variables as it has them'
