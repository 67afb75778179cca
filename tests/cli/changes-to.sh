# What an image tells, and tokens, where they are of no use: a full archive is made when one is due, and an instant without a
# name is none for lists.
. "$(dirname "$0")/lib.sh"
need_images
need qemu-io

qemu-img create -q -f qcow2 a.qcow2 10M
qemu-io -c 'write -P 1 0 2M' a.qcow2 >/dev/null
qemu-img bitmap --add a.qcow2 mine
mkdir d
to()
{
	"$VMABAK" backup --json --to d --name web --full-every 2 "$@"
}
# A bitmap, and a snapshot: the first archive is full whatever tells what changed, the second an increment, the third full.
for n in 1 2 3; do
	expect_code 0 to --since-unchecked a=a.qcow2,bitmap=mine
	[ $n = 2 ] || expect_text "$err" 'drive a: it is not asked what changed, as the archive is to be a full one'
	expect_json "$out" "(d['parent_uuid'] is None) == ($n != 2)" "(d['drives'][0]['proof'] is None) == ($n != 2)"
done
rm -r d
mkdir d
qemu-img snapshot -c 1 a.qcow2
for n in 1 2 3; do
	qemu-io -c "write -P $n 4M 64k" a.qcow2 >/dev/null
	qemu-img snapshot -c $((n + 1)) a.qcow2
	expect_code 0 to "a=a.qcow2,snapshot=$((n + 1)),since=$n"
	expect_json "$out" "(d['parent_uuid'] is None) == ($n != 2)" "(d['drives'][0]['proof'] is None) == ($n != 2)"
done
expect_error 2 'needs --parent' "$VMABAK" backup -o x.vmab --since-unchecked a=a.qcow2,bitmap=mine
expect_error 2 'with --parent only' "$VMABAK" backup -o x.vmab a=a.qcow2,bitmap=mine
expect_error 2 'exclude each other' "$VMABAK" backup --to d --name web --uuid 01020304-0506-0708-090a-0b0c0d0e0f10 a=a.qcow2

# The state of what lies below cannot be told: a plain backup of a snapshot is made all the same.
qemu-img create -q -f raw below.raw 10M
qemu-nbd -t -r -e 8 -f raw -k "$PWD/s" --pid-file=pid below.raw &
wait_until test -s pid
on_exit "kill $(cat pid) 2>/dev/null"
qemu-img create -q -f qcow2 -F raw -b "nbd+unix:///?socket=$(echo "$PWD/s" | sed "s/ /%20/g")" top.qcow2
qemu-io -c 'write -P 7 0 2M' top.qcow2 >/dev/null
qemu-img snapshot -c one top.qcow2
expect_code 0 "$VMABAK" backup --json -o top.vmab t=top.qcow2,snapshot=one
expect_text "$err" 'drive t: its instant gets no token'
expect_json "$out" 'd["drives"][0]["token"] is None'
