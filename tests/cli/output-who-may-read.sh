# What holds a drive's data is for its owner alone, also while it is written, unless it takes the place of a
# file: then those may read it who could before.
. "$(dirname "$0")/lib.sh"

umask 022
make_random drive.raw 20000000 1
put drive.raw 0 'some text'
echo text >a.conf

# rights FILE MODE
rights()
{
	[ "$(stat -c %a "$1")" = "$2" ] || fail "$1: $(stat -c %A "$1"), not $2"
}
rights_of_part()
{
	for part in .*.part; do
		rights "$part" "$1"
	done
}

in_background "$VMABAK" backup --rate 10M -c a.conf -o a.vmab root=drive.raw
wait_until has_part . 1000000
rights_of_part 600
ended_with 0 $pid
rights a.vmab 600
expect_code 0 "$VMABAK" convert -q a.vmab -o a.vma.zst
rights a.vma.zst 600
expect_code 0 "$VMABAK" restore -q a.vmab -C back
rights back 700
rights back/root.raw 600
rights back/a.conf 600
in_background "$VMABAK" restore --rate 10M a.vmab -d root=new.raw
wait_until has_part . 1000000
rights_of_part 600
ended_with 0 $pid
rights new.raw 600
expect_code 0 "$VMABAK" salvage -q a.vmab -C saved --map saved.map
rights saved 700
rights saved/root.raw 600
rights saved/a.conf 600
rights saved.map 600
images=
if "$VMABAK" --version | grep -q libnbd=yes && command -v qemu-img >/dev/null; then
	images=qcow2
	expect_code 0 "$VMABAK" restore -q a.vmab -d root=new.qcow2
	rights new.qcow2 600
fi

# What was there keeps its mode, and with a right to do that its owner.
for mode in 600 640 444; do
	for name in old.vmab old.raw old/a.conf ${images:+old.qcow2}; do
		mkdir -p old
		rm -f $name
		echo old >$name
		chmod $mode $name
		[ "$(id -u)" != 0 ] || chown 12345:54321 $name
	done
	[ "$(id -u)" = 0 ] || [ $mode != 444 ] || break # which may not be written to
	expect_code 0 "$VMABAK" backup -q --force -o old.vmab drive.raw
	for name in old.raw ${images:+old.qcow2}; do
		expect_code 0 "$VMABAK" restore -q --force a.vmab -d root=$name
	done
	expect_code 0 "$VMABAK" restore -q --force a.vmab -C old
	for name in old.vmab old.raw old/a.conf ${images:+old.qcow2}; do
		[ "$(size_of $name)" -gt 4 ] || fail "$name is the old one"
		rights $name $mode
		[ "$(id -u)" != 0 ] || [ "$(stat -c %u:%g $name)" = 12345:54321 ] || fail "$name: $(stat -c %u:%g $name)"
	done
done
nothing_but a.conf a.vma.zst a.vmab back drive.raw ${images:+new.qcow2} new.raw old ${images:+old.qcow2} old.raw old.vmab saved saved.map
