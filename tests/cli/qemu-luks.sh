# A drive that a running QEMU decrypts is in clear in the archive, which is said, once, by push and pull.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need_images

printf secret >key
encrypted qemu-img create -q -f qcow2 --object secret,id=s,file=key \
	-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 A.qcow2 8M
cp A.qcow2 B.qcow2
truncate -s 1M C.raw
start_daemon A --object secret,id=s,file="$PWD/key" \
	--blockdev driver=qcow2,node-name=A,encrypt.format=luks,encrypt.key-secret=s,file.driver=file,file.filename=A.qcow2 \
	--blockdev driver=qcow2,node-name=B,encrypt.format=luks,encrypt.key-secret=s,file.driver=file,file.filename=B.qcow2 \
	--blockdev driver=file,node-name=C,filename=C.raw
for how in push pull; do
	set --
	[ $how = push ] || set -- --pull --nbd-server "$exports" --scratch "$TMPDIR"
	expect_code 0 "$VMABAK" backup "qemu:$qmp" "$@" -d A -d B -d C --force -o a.vmab
	[ "$(grep -c 'in clear in the archive: A, B$' "$err")" = 1 ] || fail "$(cat "$err")"
	expect_code 0 "$VMABAK" backup "qemu:$qmp" "$@" -d C --force -o a.vmab
	expect_no_text "$err" 'in clear'
done
