# A mirror of a drive of a serve to a qcow2: one that is there is replaced with --force, but not while somebody uses it.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh qemu-nbd
need_images
make_random a.raw 4194304 1
mirror() { "$VMABAK" mirror "$@"; }
nothing_left() { mirror status serve:c.sock --json | grep -q '"left_bytes": 0,'; }

qemu-img create -q -f qcow2 t.qcow2 1M
start_serve a=a.raw
expect_error 2 'exists already; --force' mirror start serve:c.sock -d a=t.qcow2
qemu-nbd -t -k "$PWD/other" -f qcow2 t.qcow2 &
other=$!
on_exit "kill $other 2>/dev/null"
wait_until test -S other
expect_error 7 'in use' mirror start serve:c.sock -d a=t.qcow2 --force
kill $other
wait $other || :
for round in 1 2; do
	expect_code 0 mirror start serve:c.sock -d a=t.qcow2 --force
	expect_code 0 mirror wait serve:c.sock
	wait_until nothing_left
	expect_code 0 mirror abort serve:c.sock
	wait_until qemu-img compare -f raw -F qcow2 a.raw t.qcow2
	guest a "h.pwrite(b'$round' * 70000, 65536 * $round)"
done
printf 'no image' >t.qcow2
expect_code 0 mirror start serve:c.sock -d a=t.qcow2 --force
expect_code 0 mirror wait serve:c.sock
