# A mistyped device is no file: nothing is made below /dev, except in file systems that are mounted there.
. "$(dirname "$0")/lib.sh"

typo=/dev/vmabak-test-$$
[ ! -e $typo ] || skip "$typo exists"
on_exit "rm -rf $typo"
make_random drive.raw 200000 1
expect_code 0 "$VMABAK" backup -o a.vmab -c drive.raw root=drive.raw
ln -s /dev link

# refused COMMAND...: names what was mistyped, and leaves nothing.
refused()
{
	expect_code 2 "$@"
	expect_text "$err" "vmabak-test-$$" 'no such device'
	[ ! -e $typo ] && [ -z "$(find /dev -xdev -name '.vmabak-test*')" ] || fail "left something: $*"
}
refused "$VMABAK" restore a.vmab -d root=$typo
refused "$VMABAK" restore a.vmab --force -d root=$typo
refused "$VMABAK" restore a.vmab -d root=link/vmabak-test-$$
refused "$VMABAK" restore a.vmab -d root=/dev/../dev/pts/..//vmabak-test-$$
refused "$VMABAK" restore a.vmab -C $typo
refused "$VMABAK" restore a.vmab -C $typo/
refused "$VMABAK" backup -o $typo drive.raw
refused "$VMABAK" convert a.vmab -o $typo.vma
refused "$VMABAK" salvage a.vmab -d root=$typo
refused "$VMABAK" salvage a.vmab -C $typo
refused "$VMABAK" salvage a.vmab -d root=new.raw --map $typo
refused "$VMABAK" serve --control control --nbd unix:nbd.sock --map root=$typo root=drive.raw
[ ! -e new.raw ] || fail "new.raw"
if "$VMABAK" --version | grep -q libnbd=yes && command -v qemu-img >/dev/null; then
	refused "$VMABAK" restore a.vmab -d root=$typo.qcow2
fi
expect_error 2 '/dev/root.raw: no such device' "$VMABAK" restore a.vmab -C /dev
expect_error 2 'no files are created in /dev' "$VMABAK" backup serve:none --spill-dir /dev -o b.vmab
expect_error 2 'no files are created in /dev' "$VMABAK" backup qemu:none --pull --scratch /dev -o b.vmab

# Nor is one overwritten that was made there before.
if touch $typo 2>/dev/null; then
	ln -s $typo old.raw
	for target in $typo old.raw; do
		expect_error 2 "$typo: no such device" "$VMABAK" restore a.vmab --force -d root=$target
	done
	expect_error 2 "$typo: no such device" "$VMABAK" backup -o $typo --format vmab --force drive.raw
	[ ! -s $typo ] || fail "was written to"
	rm $typo
fi

# Nothing tells a container's /dev, which is a tmpfs.
in_container()
{
	unshare -rm sh -ec 'mount -t tmpfs none /dev
		mkdir /dev/shm
		mount -t tmpfs none /dev/shm
		code=0
		"$VMABAK" restore -q a.vmab -d root=/dev/vmabak || code=$?
		[ $code = 2 ] && [ -z "$(ls -A /dev | grep -v shm)" ] || exit 3
		"$VMABAK" restore -q a.vmab -d root=/dev/shm/root.raw
		cmp drive.raw /dev/shm/root.raw'
}
if unshare -rm true 2>/dev/null; then
	expect_code 0 in_container
fi

# /dev/shm takes files, a character device and a descriptor an archive.
if mountpoint -q /dev/shm && folder=$(mktemp -d /dev/shm/vmabak.XXXXXX); then
	on_exit "rm -rf $folder"
	expect_code 0 "$VMABAK" restore -q a.vmab -C $folder/new
	same_file drive.raw $folder/new/root.raw
	expect_code 0 "$VMABAK" backup -q -o $folder/b.vmab drive.raw
fi
expect_code 0 "$VMABAK" backup -q -o /dev/null drive.raw
"$VMABAK" backup -q -o /dev/fd/3 drive.raw 3>&1 | "$VMABAK" verify - >/dev/null || fail "/dev/fd/3"
