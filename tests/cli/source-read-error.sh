# A drive that cannot be read in one place gives an error that tells it, and no archive.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 30000000 1
for archive in a.vmab a.vma a.vma.zst; do
	for when in 1 3; do
		expect_code 1 strace -f -qq -o /dev/null -P "$PWD/drive.raw" -e trace=pread64 \
			-e inject=pread64:error=EIO:when=$when "$VMABAK" backup -o $archive drive.raw
		expect_text "$err" 'drive.raw: reading at byte ' 'Input/output error'
		[ "$(wc -l <"$err")" = 1 ] || fail "more than a line: $(cat "$err")"
		nothing_but drive.raw
	done
done
# A call that was interrupted, or gave less than asked, is no error.
expect_code 0 strace -f -qq -o /dev/null -P "$PWD/drive.raw" -e trace=pread64 \
	-e inject=pread64:error=EINTR:when=2+3 "$VMABAK" backup -o a.vmab drive.raw
expect_code 0 "$VMABAK" restore a.vmab
same_file drive.raw disk0.raw
