# A running QEMU keeps a snapshot that is read: content, sizes, zeros, formats, a pipe, configs.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives
echo text >vm.conf
mkdir scratch
pull()
{
	"$VMABAK" backup "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$PWD/scratch" "$@"
}
same_drives()
{
	expect_code 0 "$VMABAK" verify "$1"
	expect_code 0 "$VMABAK" restore --force "$1" -C out
	expect_code 0 qemu-img compare -U -f raw a.raw out/A.raw
	expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 out/B.raw
	[ -z "$(ls -A scratch)" ] || fail "left: $(ls -lR scratch)"
	nothing_in_qemu
}
for archive in a.vmab a.vma a.vma.zst; do
	expect_code 0 pull -c vm.conf -o $archive
	same_drives $archive
	same_file vm.conf out/vm.conf
	expect_json out/qemu.json "d['qemu']['version']['qemu']['major'] >= 5"
done
pull -q -o - | cat >pipe.vmab
same_drives pipe.vmab
expect_code 0 pull --json -o json.vmab --compress none
expect_json "$out" "d['n_drives'] == 2" "d['drives_bytes'] == 96 << 20" \
	"d['data_bytes'] < 54 << 20" "d['capture']['scratch_bytes'] < 1 << 20" \
	"d['capture']['frozen_filesystems'] == 0"

# One drive, by its node, under another name; a node that no guest has.
expect_code 0 pull -d other=B -d file -o one.vmab
expect_code 0 "$VMABAK" restore one.vmab -C one
expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 one/other.raw
same_file a.raw one/file.raw

# Refused, with nothing left.
expect_error 2 'no such drive or block node; the drives are: A, B' pull -d C -o no.vmab
expect_error 2 '--pull is for qemu:SOCKET' "$VMABAK" backup --pull -o no.vmab b.qcow2
expect_error 2 'without --pull' pull --buffer 64M -o no.vmab
expect_error 2 '--nbd-server is for qemu:SOCKET with --pull' "$VMABAK" backup "qemu:$qmp" --nbd-server "$exports" -o no.vmab
expect_error 2 'must begin with a /' \
	"$VMABAK" backup "qemu:$qmp" --pull --scratch scratch -o no.vmab
expect_error 7 'name its socket with --nbd-server' \
	"$VMABAK" backup "qemu:$qmp" --pull --scratch "$PWD/scratch" -o no.vmab
expect_error 1 scratch/none "$VMABAK" backup "qemu:$qmp" --pull --scratch "$PWD/scratch/none" -o no.vmab
[ ! -e no.vmab ] || fail "an archive was begun"
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"
nothing_in_qemu

# The guest's file systems stand still around the instant.
"$PYTHON" "$CLI/agent.py" "$TMPDIR/agent" "$TMPDIR/log" 2>"$TMPDIR/agent.err" &
agent=$!
on_exit "kill $agent 2>/dev/null"
wait_until test -S "$TMPDIR/agent"
expect_code 0 pull --guest-agent "$TMPDIR/agent" --json -o agent.vmab
expect_json "$out" "d['capture']['frozen_filesystems'] == 2"
[ "$(grep -v sync "$TMPDIR/log" | tr '\n' ' ')" = 'guest-fsfreeze-freeze guest-fsfreeze-thaw ' ] ||
	fail "the agent was asked otherwise: $(cat "$TMPDIR/log")"
