# An image that a running QEMU writes to is refused with code 7, unless --allow-writers.
. "$(dirname "$0")/lib.sh"

need_images
need qemu-io mkfifo
make_random drive.raw 1000000 1
qemu-img convert -f raw -O qcow2 drive.raw disk.qcow2
mkfifo control

# hold FORMAT FILE: open for writing until release.
hold()
{
	: >"$TMPDIR/prompt"
	qemu-io -f "$1" "$2" <control >"$TMPDIR/prompt" 2>&1 &
	holder=$!
	exec 5>control
	wait_until test -s "$TMPDIR/prompt"
}

release()
{
	echo quit >&5
	exec 5>&-
	wait $holder
}

for file in drive.raw disk.qcow2; do
	hold ${file#*.} $file
	expect_error 7 "$file: " "$VMABAK" backup -o a.vmab $file
	expect_code 7 "$VMABAK" backup --json -o a.vmab $file
	expect_json "$out" "d['error']['code'] == 'locked'" "d['exit_code'] == 7"
	nothing_but control disk.qcow2 drive.raw
	expect_code 0 "$VMABAK" backup --allow-writers -o a.vmab $file
	# Nor is it overwritten by a restore.
	cp $file before
	expect_error 7 "$file: " "$VMABAK" restore a.vmab --force -d disk0=$file
	same_file before $file
	release
	rm before a.vmab
	expect_code 0 "$VMABAK" backup -o a.vmab $file
	rm a.vmab
done
