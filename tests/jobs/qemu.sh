# A running QEMU, by its monitor: which drives, a backup by either way, and back.
. "$(dirname "$0")/../cli/lib.sh"
need_images
need qemu-system-x86_64

make_random web.raw 3000000 1
truncate -s 64M web.raw
qemu-img create -q -f qcow2 data.qcow2 1G
qemu-io -f qcow2 -c 'write -q -P 5 1M 3M' data.qcow2
qemu-system-x86_64 -machine pc,accel=tcg -nodefaults -display none -S -qmp unix:web.qmp,server=on,wait=off \
	-drive if=virtio,id=root,file=web.raw,format=raw -drive if=virtio,id=data,file=data.qcow2 &
on_exit "kill $! 2>/dev/null"
wait_until test -S web.qmp

expect_code 0 "$VMABAK" qemu-drives web.qmp
[ "$(head -n 1 "$out" | tr -s ' ')" = 'NAME SIZE FORMAT NODE FILE' ] || fail "$(cat "$out")"
grep -qE '^root +64.0 MiB +raw +#block[0-9]+ +web.raw$' "$out" || fail "$(cat "$out")"
# All columns begin where their titles do.
"$PYTHON" - "$out" <<-'END' || fail "not aligned: $(cat "$out")"
	import sys
	lines = open(sys.argv[1]).read().splitlines()
	for word in "FORMAT", "NODE", "FILE":
	    at = lines[0].index(word)
	    if any(line[at - 1] != " " or line[at] == " " for line in lines[1:]):
	        sys.exit(word)
END
expect_code 0 "$VMABAK" backup qemu:web.qmp -o pushed.vmab
expect_text "$err" 'pushed.vmab: ' ' of data from 2 drives, '
expect_code 0 "$VMABAK" backup -q qemu:web.qmp --pull --scratch "$PWD" -o pulled.vmab
qemu-img convert -O raw -U data.qcow2 data.raw
for archive in pushed pulled; do
	expect_code 0 "$VMABAK" verify -q $archive.vmab
	expect_code 0 "$VMABAK" restore $archive.vmab -C $archive
	expect_text "$err" '2 drives (1.1 GiB) and 1 config restored'
	cmp web.raw $archive/root.raw || fail "root of $archive"
	cmp data.raw $archive/data.raw || fail "data of $archive"
done
expect_code 0 "$VMABAK" config pushed.vmab qemu.json
expect_json "$out" "d"
