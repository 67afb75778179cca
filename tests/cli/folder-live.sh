# backup --to of what runs: served drives, a QEMU that pushes and one that is read.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/serve.sh"

need_images
mkdir d
# to MACHINE SOURCE [OPTION]...: an increment if there is an archive, a full one otherwise.
to()
{
	name=$1
	shift
	had=$(ls d | grep -c "^$name-2.*vmab$" || true)
	expect_code 0 "$VMABAK" backup --json --to d --name "$name" "$@"
	expect_json "$out" "(d['parent_uuid'] is None) == ($had == 0)" 'd["sums"] == d["archive"] + ".sums"'
	archive=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["archive"])' "$out")
	expect_code 0 "$VMABAK" sums -q "$archive" -o made.sums
	same_file made.sums "$archive.sums"
	rm made.sums
}

make_random s.raw 3000001 2
start_serve s=s.raw
to served serve:c.sock
guest s 'h.pwrite(b"guest" * 1000, 1000001)'
to served serve:c.sock
expect_code 0 "$VMABAK" restore -q "$archive" -C back
same_file back/s.raw s.raw
stop_serve
rm -r back

two_drives
mkdir scratch
to qemu "qemu:$qmp"
expect_code 0 qemu-io -f raw -c 'write -q -P 9 5M 100k' "$uri_A"
to qemu "qemu:$qmp"
to qemu "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$PWD/scratch"
expect_code 0 "$VMABAK" restore -q "$archive" -C back
expect_code 0 qemu-img compare -U -f raw a.raw back/A.raw
expect_code 0 qemu-img compare -U -f qcow2 -F raw b.qcow2 back/B.raw
nothing_in_qemu

# A machine that cannot be backed up leaves nothing in the folder.
before=$(ls -A d)
expect_code 1 "$VMABAK" backup --to d --name qemu qemu:missing.qmp
expect_code 1 "$VMABAK" backup --to d --name served serve:c.sock
[ "$(ls -A d)" = "$before" ] || fail "left: $(ls -A d)"
expect_code 0 "$VMABAK" prune d --keep-last 1 --merge
expect_code 0 "$VMABAK" list d
expect_text "$out" 'machine qemu: 1 archive in 1 chain' 'machine served: 1 archive in 1 chain'
