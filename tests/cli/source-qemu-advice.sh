# What QEMU says about an image reaches the user in full: the reason, and what to do.
. "$(dirname "$0")/lib.sh"

need_images
need qemu-io
qemu-img create -q -f vhdx -o block_size=1M good.vhdx 20M
# A program that is not there is looked for in PATH.
expect_error 1 "it is not in PATH, which is '/nowhere'" \
	env PATH=/nowhere "$VMABAK" backup -o b.vmab d=good.vhdx
# Of several lines not only the last.
cp good.vhdx cut.vhdx
qemu-io -f vhdx -c 'write -P 9 19M 64k' cut.vhdx >/dev/null
truncate -s -1000000 cut.vhdx
expect_error 1 'Image has probably been truncated' "$VMABAK" backup -o b.vmab d=cut.vhdx

# A VHDX whose writer was killed has a log that must be replayed first. Which write it is that
# leaves one depends on the threads.
need_strace
calls=pwrite64,pwritev,pwritev2
for n in $(seq 1 24) $(seq 1 24) $(seq 1 24); do
	cp good.vhdx a.vhdx
	strace -qq -o "$TMPDIR/trace" -f -e trace=$calls -e inject=$calls:signal=SIGKILL:when=$n \
		qemu-io -f vhdx -c 'write -P 9 19M 64k' -c flush a.vhdx >/dev/null 2>&1 || true
	! qemu-img info -f vhdx a.vhdx 2>&1 | grep -q 'needs to be replayed' || break
done
! qemu-img info -f vhdx a.vhdx >/dev/null 2>&1 || skip "no log was left to be replayed"
expect_error 1 'contains a log that needs to be replayed' "$VMABAK" backup -o a.vmab d=a.vhdx
expect_text "$err" "qemu-img check -r all 'a.vhdx'"
qemu-img check -q -r all a.vhdx
expect_code 0 "$VMABAK" backup -o a.vmab d=a.vhdx
