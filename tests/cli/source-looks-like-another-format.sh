# A drive that looks like something else than its name says is neither read nor overwritten until
# somebody has told its format.
. "$(dirname "$0")/lib.sh"

"$PYTHON" - <<'END_OF_PYTHON'
heads = {
    "web.before-upgrade": (b"QFI\xfb\0\0\0\3", "qcow2"), "old.img": (b"QFI\xfb\0\0\0\1", "qcow"),
    "disk.0": (b"KDMV\1\0\0\0", "vmdk"), "esx.img": (b"COWD\1", "vmdk"),
    "text": (b"# Disk DescriptorFile\nversion=1\n", "vmdk"), "a.raw": (bytes(64) + b"\x7f\x10\xda\xbe", "vdi"),
    "b.raw": (b"vhdxfile", "vhdx"), "c.raw": (b"conectix", "vpc"), "d.raw": (b"WithoutFreeSpace", "parallels"),
    "e.raw": (b"WithouFreSpacExt", "parallels"), "f.raw": (b"QED\0", "qed"), "wrong.qcow2": (b"KDMV", "vmdk"),
    "wrong.vmdk": (b"QFI\xfb\0\0\0\2", "qcow2"),
    "a.raw.gz": (b"\x1f\x8b\x08", "gzip -dc"), "gzip.vmdk": (b"\x1f\x8b\x08", "gzip -dc"),
    "a.qcow2.xz": (b"\xfd7zXZ\0", "xz -dc"), "a.img": (b"\x28\xb5\x2f\xfd", "zstd -dc"),
    "pzstd.img": (b"\x50\x2a\x4d\x18", "zstd -dc"), "b.img": (b"BZh91AY&SY", "bzip2 -dc"),
    "c.img": (b"\4\x22\x4d\x18", "lz4 -dc"), "d.img": (b"\x89LZO\0\r\n\x1a\n", "lzop -dc"),
    "a.ova": (bytes(257) + b"ustar\0" + b"00", "tar -xf"),
}
tails = {"fixed.img": (b"conectix", "vpc"), "mac.img": (b"koly\0\0\0\4\0\0\2\0", "dmg")}
with open("cases", "w") as cases:
    for name, (bytes_, way) in heads.items():
        open(name, "wb").write(bytes_.ljust(70000, b"\xff"))
        print(name, way, file=cases)
    for name, (bytes_, way) in tails.items():
        open(name, "wb").write(b"\xee" * 69632 + bytes_.ljust(512, b"\0"))
        print(name, way, file=cases)
END_OF_PYTHON
while read -r name way; do
	case $name in *.vmdk | *.qcow2) own=${name##*.} ;; *) own=raw ;; esac
	case $way in *' '*) ;; *) way=",format=$way" ;; esac
	expect_error 2 "$way" "$VMABAK" backup -o a.vmab "d=$name"
	expect_text "$err" ",format=$own"
	[ ! -e a.vmab ] || fail "an archive of $name"
	expect_code 0 "$VMABAK" backup -o a.vmab "d=$name,format=raw"
	expect_code 0 "$VMABAK" restore a.vmab -d d=back
	same_file "$name" back
	rm a.vmab back
done <cases
[ "$(wc -l <cases)" = 24 ] || fail "not all were tried"

# What only begins or ends a little like that is a drive.
printf 'QFI' >short
printf 'MZ\037\213\010' >other
printf conectix >eight
make_random plain 100000 1
for name in short other plain; do
	expect_code 0 "$VMABAK" backup --force -o a.vmab "d=$name"
done

# Targets: without a word there are no raw bytes where an image was.
expect_code 0 "$VMABAK" backup --force -o a.vmab d=plain
for name in web.before-upgrade disk.0 fixed.img a.raw; do
	cp "$name" before
	expect_error 2 ',format=raw' "$VMABAK" restore a.vmab --force -d "d=$name"
	same_file before "$name"
	expect_code 0 "$VMABAK" restore a.vmab --force -d "d=$name,format=raw"
	cmp -n 100000 plain "$name" || fail "$name was not overwritten"
done
mkdir folder
printf 'QFI\373\000\000\000\003' >folder/d.raw
expect_error 2 ',format=raw' "$VMABAK" restore a.vmab --force -C folder
[ "$(size_of folder/d.raw)" = 8 ] || fail "was overwritten"
cp wrong.vmdk before
expect_error 2 ',format=qcow2' "$VMABAK" restore a.vmab --force -d d=wrong.vmdk
same_file before wrong.vmdk
if [ "$(id -u)" = 0 ]; then
	cp before on-a-device
	truncate -s 1M on-a-device
	loop_device on-a-device
	expect_error 2 ',format=qcow2' "$VMABAK" backup --force -o b.vmab "d=$loop"
	expect_error 2 ',format=raw' "$VMABAK" restore a.vmab --force -d "d=$loop"
	expect_code 0 "$VMABAK" restore a.vmab --force -d "d=$loop,format=raw"
	cmp -n 100000 plain "$loop" || fail "the device was not overwritten"
fi

# What a guest is given: images are refused as well, a tar on a drive is the guest's affair.
. "$CLI/serve.sh"
expect_error 2 ',format=raw' "$VMABAK" serve --control c.sock --nbd unix:n.sock d=before
start_serve d=before,format=raw e=a.ova
expect_code 0 "$VMABAK" backup --force -o b.vmab serve:c.sock
stop_serve

# An image as a donor.
expect_error 2 ',format=qcow2' "$VMABAK" salvage a.vmab -C out --donor d=before

# With the format told, images are read and made as such.
need_images
qemu-img create -q -f qcow2 -b "$PWD/plain" -F raw overlay.before-upgrade
expect_code 0 "$VMABAK" backup --force -o b.vmab d=overlay.before-upgrade,format=qcow2
expect_code 0 "$VMABAK" restore b.vmab -d d=again
cmp -n 100000 plain again || fail "not what is under the overlay"
expect_code 0 "$VMABAK" restore a.vmab --force -d d=overlay.before-upgrade,format=qcow2
expect_code 0 qemu-img check -f qcow2 overlay.before-upgrade
expect_code 0 "$VMABAK" salvage a.vmab -d d=salvaged.img,format=qcow2
expect_code 0 qemu-img compare -f raw -F qcow2 plain salvaged.img
# A server that gives the image instead of what is in it.
qemu-nbd --fork --pid-file="$TMPDIR/pid" -k "$TMPDIR/nbd" -t -e 4 -f raw salvaged.img
on_exit "kill $(cat "$TMPDIR/pid")"
uri="nbd+unix:///?socket=$(echo "$TMPDIR/nbd" | sed 's/ /%20/g')"
rm b.vmab
expect_error 2 ',format=raw' "$VMABAK" backup -o b.vmab "d=$uri"
[ ! -e b.vmab ] || fail "an archive of the image"
expect_code 0 "$VMABAK" backup -o b.vmab "d=$uri,format=raw"
expect_error 2 ',format=raw' "$VMABAK" restore a.vmab --force -d "d=$uri"
