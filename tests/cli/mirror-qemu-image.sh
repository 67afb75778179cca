# Mirrors of drives of a QEMU to qcow2 images: made, copied while the guest writes, aborted, started again with the changes alone;
# the guest is led to them and back, both of which QEMU opens itself; they are sound images, and no other process is needed.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

mirrored_drives

# same_images IMAGE-OF-A IMAGE-OF-B: sound, and what the guest sees.
same_images()
{
	qemu-img convert -f raw -O raw "$uri_A" now.A
	qemu-img convert -f raw -O raw "$uri_B" now.B
	qemu-img compare -q -U -f raw -F qcow2 now.A "$1" || fail "$1 is not the drive"
	qemu-img compare -q -U -f raw -F qcow2 now.B "$2" || fail "$2 is not the drive"
	rm now.A now.B
}
sound() { qemu-img check -q -U "$1" || fail "$1 is damaged"; }
begin() { mirror_start -d A=ta.qcow2 -d B=tb,format=qcow2 --state s.json --json "$@"; }

expect_code 0 begin
expect_error 7 'is running; abort ends it' mirror_start -d A=other.qcow2
write_A 5 5M 300K
write_B 6 3M 100K
in_sync
expect_code 0 mirror abort --json
expect_json "$out" "d['one_instant']"
nothing_of_mirrors
sound ta.qcow2
sound tb
same_images ta.qcow2 tb
[ "$(allocated ta.qcow2)" -lt 5000 ] || fail "not sparse: $(allocated ta.qcow2) KiB"

# What changed, after QEMU forgot the image, and after its qemu-nbd was lost.
write_A 9 10M 4K
write_B 9 20M 4K
expect_code 0 begin
expect_json "$out" "all(x['known'] for x in d['drives'])" "sum(x['left_bytes'] for x in d['drives']) == 4 * 65536"
in_sync
write_A 4 11M 4K
expect_code 0 mirror abort
same_images ta.qcow2 tb

# To the images: QEMU has them alone.
expect_code 0 begin
in_sync
expect_code 0 mirror pivot --json
expect_json "$out" "0 < d['standstill_ns'] < 10**11"
nothing_of_mirrors
! pgrep -f "$PWD/ta.qcow2" || fail "a process is left that has the image"
write_A 3 2M 4K
write_B 3 2M 4K
same_images ta.qcow2 tb
ask_qmp query-named-block-nodes | grep -q 'ta.qcow2' || fail "QEMU does not have the image"
! ask_qmp query-named-block-nodes | grep -q 'null-co' || fail "a node is left"
expect_json s.json "[x['n_clusters'] for x in d['drives']] == [256, 512]"

# Back, to a raw file and to a qcow2 that was the drive.
now=$(ask_qmp query-block-exports | grep -o 'vmabak-mirror-[0-9a-f]*-0')
expect_code 0 mirror_start -d "$now=a.raw" -d "${now%0}1=b.qcow2" --state s.json --json
expect_json "$out" "all(x['known'] for x in d['drives'])" "sum(x['left_bytes'] for x in d['drives']) == 4 * 65536"
in_sync
expect_code 0 mirror pivot -q
nothing_of_mirrors
sound ta.qcow2
sound tb
write_A 4 3M 4K
write_B 4 3M 4K
qemu-io -f raw -r -U -c 'read -q -P 4 3M 4K' -c 'read -q -P 3 2M 4K' a.raw
qemu-io -f qcow2 -r -U -c 'read -q -P 4 3M 4K' -c 'read -q -P 3 2M 4K' b.qcow2
! ask_qmp query-named-block-nodes | grep -q 'ta.qcow2' || fail "QEMU has the image still"
expect_json s.json "[x['target'].split('/')[-1] for x in d['drives']] == ['ta.qcow2', 'tb']" "d['drives'][0]['n_clusters'] == 256"

# What is there is overwritten with --force alone, whatever it is.
echo precious >old.qcow2
now=$(ask_qmp query-block-exports | grep -o 'vmabak-mirror-[0-9a-f]*-0')
expect_error 2 'exists already; --force' mirror_start -d "$now=old.qcow2"
[ "$(cat old.qcow2)" = precious ] || fail "it was overwritten"
expect_error 7 'is in use' mirror_start -d "$now=b.qcow2" --force
expect_code 2 mirror_start -d "$now=x,format=qcow9"
expect_code 0 mirror_start -d "$now=old.qcow2" -d "${now%0}1=tb,format=qcow2" --force
in_sync
expect_code 0 mirror abort
same_images old.qcow2 tb
sound old.qcow2
