# An image that a loop device has, mounted or not, is in use as the device itself is; so is a loop device over a
# file that others write to.
. "$(dirname "$0")/lib.sh"

need_root
make_random drive.raw 2097152 1
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw
cp drive.raw before

# busy DRIVE [WHO]: for backup and restore.
busy()
{
	expect_error 7 "$1: is in use: ${2:-}" "$VMABAK" backup -o no.vmab "$1"
	expect_error 7 "$1: is in use: ${2:-}" "$VMABAK" restore a.vmab --force -d disk0="$1"
	[ ! -e no.vmab ] || fail no.vmab
	same_file before drive.raw
}
free()
{
	expect_code 0 "$VMABAK" backup -q --force -o free.vmab "$1"
}
is_free()
{
	! losetup -n -O BACK-FILE "$1" 2>/dev/null | grep -qF "$PWD"
}
detach()
{
	losetup -d "$1"
	# Whoever else looks at it just now keeps it for as long.
	wait_until is_free "$1"
	at_exit=$(echo "$at_exit" | grep -v "losetup -d $1$")
}

# Attached, by whatever name.
loop_device drive.raw
busy drive.raw "attached to $loop"
expect_error 7 "attached to $loop" "$VMABAK" serve --control control --nbd unix:nbd.sock root=drive.raw
expect_code 0 "$VMABAK" backup -q --allow-writers -o allowed.vmab drive.raw
# Also for those who may not ask the loop device.
if command -v setpriv >/dev/null && chmod 644 drive.raw && setpriv --reuid=65534 --clear-groups "$VMABAK" --version >"$out" 2>&1; then
	expect_code 7 setpriv --reuid=65534 --clear-groups "$VMABAK" backup -o /dev/null --format vmab drive.raw
fi
mv drive.raw renamed.raw
ln -s renamed.raw drive.raw
busy drive.raw "attached to $loop"
ln renamed.raw linked.raw
rm drive.raw renamed.raw
mv linked.raw drive.raw
busy drive.raw "attached to $loop"
# The device itself is not in use for that.
free "$loop"
expect_code 0 "$VMABAK" restore -q a.vmab --force -d disk0="$loop"

# Two on one file, and one on another.
first=$loop
loop_device drive.raw
busy "$first" "attached to $loop"
busy "$loop" "attached to $first"
detach "$loop"
loop_device "$first"
busy "$first" "attached to $loop"
busy drive.raw "attached to $first"
free "$loop"
detach "$loop"

# A partition, of a disk that a QEMU has, which claims nothing.
if command -v addpart >/dev/null && addpart "$first" 1 8 2048 2>/dev/null; then
	at_exit="delpart $first 1
$at_exit"
	wait_until [ -b "${first}p1" ]
	free "${first}p1"
	"$PYTHON" -c 'import fcntl, struct, sys, time
file = open(sys.argv[1], "r+b")
fcntl.fcntl(file, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, int(sys.argv[2]), 1, 0))
open("held", "w")
time.sleep(300)' "$first" 101 &
	holder=$!
	on_exit "kill $holder 2>/dev/null"
	wait_until [ -e held ]
	expect_error 7 'is in use' "$VMABAK" backup -o no.vmab "${first}p1"
	kill $holder
	wait $holder || :
	delpart "$first" 1
	at_exit=$(echo "$at_exit" | grep -v "delpart $first 1")
fi
detach "$first"
free drive.raw

# One that cannot be written to does not harm a backup.
loop_device drive.raw -r
free drive.raw
expect_error 7 "attached to $loop" "$VMABAK" restore a.vmab --force -d disk0=drive.raw
expect_error 7 "attached to $loop" "$VMABAK" serve --control control --nbd unix:nbd.sock root=drive.raw
detach "$loop"

# A device over a file that is served.
"$VMABAK" serve -q --control control --nbd unix:nbd.sock root=drive.raw 2>serve.err &
serve=$!
on_exit "kill -9 $serve 2>/dev/null"
wait_until [ -S control ]
loop_device drive.raw
busy "$loop" 'a running QEMU or vmabak'
over=$loop
loop_device "$over"
busy "$loop" "a running QEMU or vmabak"
detach "$loop"
detach "$over"
expect_code 0 "$VMABAK" stop control
ended_with 0 $serve

# Images in other formats.
if "$VMABAK" --version | grep -q libnbd=yes && command -v qemu-img >/dev/null; then
	qemu-img create -q -f qcow2 drive.qcow2 2M
	loop_device drive.qcow2
	expect_error 7 "attached to $loop" "$VMABAK" backup -o no.vmab drive.qcow2
	expect_error 7 "attached to $loop" "$VMABAK" restore a.vmab --force -d disk0=drive.qcow2
fi
