# Encrypted images are read with a secret, and it is said that the archive is in clear; without one, and with a wrong
# one, the error says what to do.
. "$(dirname "$0")/lib.sh"
need_images

make_random drive.raw 3000320 1
truncate -s 8M drive.raw
printf 'a passphrase' >key
printf 'a passphrase\n' >wrong
mkdir 'a,b'
cp key 'a,b/key'
object=secret,id=s,file=key
encrypted qemu-img create -q -f luks --object $object -o key-secret=s,iter-time=10 drive.luks 8M
qemu-img convert -n --image-opts --object $object driver=raw,file.filename=drive.raw \
	--target-image-opts driver=luks,key-secret=s,file.filename=drive.luks
encrypted qemu-img convert -O qcow2 --object $object -o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 \
	drive.raw drive.qcow2
cp drive.luks 'a,b/luks'
for source in drive.qcow2,secret=key drive.luks,secret=key drive.luks,secret=key,format=luks \
	'a,b/luks,secret=key'; do
	expect_code 0 "$VMABAK" backup -o a.vmab "root=$source" other=drive.raw
	expect_text "$err" 'encrypted where they lie, but in clear in the archive: root'
	expect_code 0 "$VMABAK" restore a.vmab -C back
	same_file drive.raw back/root.raw
	rm -r a.vmab back
done
expect_code 0 "$VMABAK" backup --json -o a.vmab root=drive.qcow2,secret=key other=drive.raw
expect_json "$out" "d['decrypted_drives'] == ['root']"
rm a.vmab

for source in drive.qcow2 drive.luks,format=luks; do
	expect_error 2 'is encrypted: add ,secret=FILE' "$VMABAK" backup -o a.vmab $source
done
for source in drive.qcow2 drive.luks; do
	expect_error 2 'a newline at the end of that file counts' "$VMABAK" backup -o a.vmab $source,secret=wrong
	expect_error 1 none "$VMABAK" backup -o a.vmab $source,secret=none
done
# Without a secret a LUKS device is data like any other.
expect_code 0 "$VMABAK" backup -o a.vmab root=drive.luks
expect_no_text "$err" 'in clear'
expect_code 0 "$VMABAK" restore a.vmab -d root=back
same_file drive.luks back

# Served to be read, and as a donor.
. "$CLI/serve.sh"
need nbdcopy
start_serve --read-only root=drive.qcow2,secret=key
nbdcopy 'nbd+unix:///root?socket=n.sock' served
same_file drive.raw served
stop_serve
rm a.vmab
expect_code 0 "$VMABAK" backup -o a.vmab --compress none root=drive.raw
flip a.vmab 1000000
expect_code 0 "$VMABAK" salvage a.vmab -C salvaged --donor root=drive.luks,secret=key
same_file drive.raw salvaged/root.raw
