# Drives go into qcow2 and the like, told by the ending or by ,format=; nothing old shines through.
. "$(dirname "$0")/lib.sh"

need_images
make_random drive.raw 6000000 1
truncate -s 20M drive.raw
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw

for name in a.qcow2 a.vmdk a.vdi a.vhdx 'with a blank, and comma.qcow2'; do
	expect_code 0 "$VMABAK" restore a.vmab -d "d=$name"
	expect_code 0 qemu-img compare drive.raw "$name"
	[ "$(allocated "$name")" -lt 9000 ] || fail "$name: zeros take room: $(allocated "$name") KiB"
done
expect_code 0 "$VMABAK" restore a.vmab -d "d=json:{}.img,format=qcow2"
expect_code 0 qemu-img compare -f raw -F qcow2 drive.raw "file:json:{}.img"
expect_code 0 qemu-img check "file:json:{}.img"
rm ./json*
expect_code 0 "$VMABAK" restore a.vmab -d d=raw.qcow2,format=raw
same_file drive.raw raw.qcow2

# One that exists is replaced, with what it stood on; by way of a link the file behind it.
make_full base.raw 20971520
qemu-img create -q -f qcow2 -b base.raw -F raw old.qcow2
ln -s old.qcow2 link.qcow2
truncate -s 20M empty.raw
expect_code 0 "$VMABAK" backup --force -o zero.vmab d=empty.raw
expect_error 2 'exists already' "$VMABAK" restore zero.vmab -d d=old.qcow2
expect_code 0 "$VMABAK" restore --force zero.vmab -d d=link.qcow2
[ -L link.qcow2 ] || fail "the link is gone"
expect_code 0 qemu-img compare empty.raw old.qcow2
qemu-img info old.qcow2 >"$out"
expect_no_text "$out" backing

# In use, not a file, no such format, damaged: nothing is changed and nothing is left.
cp old.qcow2 before
qemu-nbd --fork --pid-file="$TMPDIR/pid" -k "$TMPDIR/socket" -t -f qcow2 old.qcow2
expect_error 7 'in use by a running QEMU' "$VMABAK" restore --force a.vmab -d d=old.qcow2
kill "$(cat "$TMPDIR/pid")"
same_file before old.qcow2
ls -A >"$TMPDIR/files"
expect_error 2 nosuch "$VMABAK" restore a.vmab -d d=new,format=nosuch
cp a.vmab damaged
flip damaged 4000000
expect_code 4 "$VMABAK" restore damaged -d d=new.qcow2
expect_code 4 "$VMABAK" restore --force damaged -d d=old.qcow2
rm damaged
same_file before old.qcow2
ls -A | diff "$TMPDIR/files" - || fail "something was left"
# Ended by a signal with the image half written.
in_background "$VMABAK" restore --rate 200K a.vmab -d d=new.qcow2
wait_until has_part . 1000
kill -TERM $pid
ended_with 143 $pid
ls -A | diff "$TMPDIR/files" - || fail "something was left"
