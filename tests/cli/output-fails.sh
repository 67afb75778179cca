# Whatever call on the output fails: the code that fits, one line, nothing left; a call that was
# interrupted or did half of its work is no failure.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 25000000 1
expect_code 0 "$VMABAK" backup -o good.vmab drive.raw
failing()
{
	inject=$1
	shift
	strace -f -qq -o /dev/null -e trace="${inject%%:*}" -e inject="$inject" "$VMABAK" "$@"
}
for n in 1 2 3; do
	expect_code 6 failing writev:error=ENOSPC:when=$n backup -o a.vmab drive.raw
	expect_code 1 failing writev:error=EIO:when=$n backup -o a.vma drive.raw
	expect_code 6 failing writev:error=EDQUOT:when=$n convert good.vmab -o a.vma
	expect_code 6 failing pwrite64:error=ENOSPC:when=$n restore good.vmab -C back
	expect_code 1 failing pwrite64:error=EIO:when=$n restore good.vmab -C back
	grep -q '^vmabak: ' "$err" || fail "said: $(cat "$err")"
	[ "$(wc -l <"$err")" = 1 ] || fail "more than a line: $(cat "$err")"
	nothing_but drive.raw good.vmab
done
expect_code 0 failing writev:error=EINTR:when=1+2 backup -o a.vmab drive.raw
expect_code 0 "$VMABAK" verify a.vmab
expect_code 0 failing pwrite64:error=EINTR:when=1+2 restore a.vmab -C back
same_file drive.raw back/disk0.raw
