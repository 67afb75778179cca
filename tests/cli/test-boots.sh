# A backup boots, its guest reads and writes its drive, and the archive stays as it was; exit code 4 when it says nothing,
# or ends.
# long: machines are booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_machine
need mkfs.ext4

begin_initrd
begin_init
cat >>"$lib_root/init" <<'EOF'
for port in /dev/vport*; do
	if [ -c "$port" ]; then /agent "$port" & fi
done
busybox mount -t ext4 /dev/vda /mnt
busybox cat /mnt/big >/dev/null || echo "guest: cannot read"
echo written >/mnt/new
busybox sync
echo "guest: $(busybox cat /mnt/name) $(busybox cat /mnt/new) login:"
[ ! -e /mnt/off ] || busybox poweroff -f
busybox sleep 1000
EOF
cp "$SRC/tests/live/guest/agent" "$lib_root/agent"
chmod 755 "$lib_root/agent"
add_modules virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console
pack_initrd | gzip -1 >initrd.gz

mkdir files
echo tuesday >files/name
head -c 3000000 /dev/urandom >files/big
truncate -s 32M a.raw
mkfs.ext4 -q -F -d files a.raw
"$VMABAK" backup -q -o a.vmab root=a.raw
touch files/off
mkfs.ext4 -q -F -d files a.raw
"$VMABAK" backup -q -o b.vmab --parent a.vmab root=a.raw
sha256sum a.vmab b.vmab >sums

boots() {
	"$VMABAK" test --memory 192M --qemu-argument -kernel --qemu-argument "$lib_kernel" --qemu-argument -initrd \
		--qemu-argument initrd.gz --qemu-argument -append --qemu-argument "$lib_cmdline" "$@"
}

expect_code 0 boots a.vmab --timeout 600 --expect 'guest: tuesday written login:'
expect_text "$err" "a.vmab: booted: 'guest: tuesday written login:' after "
# The machine of the increment switches itself off before it says this; another never says it.
expect_code 4 boots b.vmab --timeout 600 --expect 'never said'
expect_text "$err" "b.vmab: the machine ended after " "console: guest: tuesday written login:"
expect_code 4 boots a.vmab --timeout 1 --expect 'never said'
expect_text "$err" "a.vmab: no sign of life within 1" "'never said' did not come"
# The guest agent answers, or is not there yet.
expect_code 0 boots a.vmab --timeout 600 --guest-agent
expect_text "$err" 'a.vmab: booted: its guest agent answered after '
printf '#!/bin/sh\nexec sleep 1000\n' >silent
chmod 755 silent
expect_code 4 "$VMABAK" test a.vmab --qemu "$PWD/silent" --timeout 1 --json --guest-agent
expect_json "$out" "d['archive'] == 'a.vmab'" "not d['booted']" "d['duration_s'] >= 1" "d['error']['code'] == 'damaged'" \
	"'an answer of its guest agent did not come' in d['error']['message']"
expect_code 4 "$VMABAK" test a.vmab --qemu "$PWD/silent" --timeout 1 --guest-agent
expect_text "$err" 'a.vmab: no sign of life within ' 'an answer of its guest agent did not come'
expect_error 2 '--expect and --guest-agent: only one of them' "$VMABAK" test a.vmab --guest-agent --expect x
expect_code 1 "$VMABAK" test a.vmab --qemu no-such-program
expect_text "$err" no-such-program
# A run that is killed leaves its folder, with the sockets, and the next one removes it.
in_background "$VMABAK" test a.vmab --memory 192M --timeout 600 --expect 'never said'
own_folders()
{
	find /tmp -maxdepth 1 -name 'vmabak-test-*' -newer sums -user "$(id -u)" 2>/dev/null
}
began()
{
	[ -n "$(own_folders)" ]
}
wait_until began
kill -KILL "$pid"
wait "$pid" || :
[ -n "$(own_folders)" ] || fail 'the killed run leaves nothing'
removed()
{
	expect_code 1 "$VMABAK" test a.vmab --qemu no-such-program
	[ -z "$(own_folders)" ]
}
wait_until removed
sha256sum -c --quiet sums || fail "an archive was changed"
