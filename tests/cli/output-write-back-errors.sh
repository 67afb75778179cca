# The kernel tells of a write-back error once, to whichever call asks first. One that comes while the output is still
# written fails the run as one at the end does; sandboxes without the call lose nothing.
. "$(dirname "$0")/lib.sh"

need_strace
make_random drive.raw 100000000 1
expect_code 0 "$VMABAK" backup -q --no-sync --compress none -o good.vmab drive.raw
mkdir to
# failing ERRNO[:WHEN] COMMAND...
failing()
{
	lib_inject=$1
	shift
	strace -f -qq -o "$TMPDIR/trace" -e trace=sync_file_range -e inject="sync_file_range:error=$lib_inject" "$@"
}
# to_stdout COMMAND...: into a file that exists already.
to_stdout()
{
	"$@" >"$TMPDIR/to.vmab"
}
# Every second call waits from the sixth on.
for fault in 'EIO:when=1 1' 'EIO:when=6 1' 'ENOSPC:when=6 6' 'EDQUOT:when=8 6' 'EIO:when=15 1'; do
	how=${fault% *} code=${fault#* }
	expect_code "$code" failing "$how" "$VMABAK" backup -q --threads 1 --compress none -o to/a.vmab drive.raw
	expect_text "$err" 'to/a.vmab: writing back'
	expect_code "$code" failing "$how" "$VMABAK" convert -q --threads 1 --compress none good.vmab -o to/a.vma
	expect_code "$code" to_stdout failing "$how" "$VMABAK" backup -q --threads 1 --compress none -o - drive.raw
	[ -z "$(ls -A to)" ] || fail "$how: left: $(ls -A to)"
done
cp drive.raw old.raw
for fault in 'EIO:when=1 1' 'ENOSPC:when=2 6' 'EIO:when=6 1' 'EDQUOT:when=1 6'; do
	how=${fault% *} code=${fault#* }
	expect_code "$code" failing "$how" "$VMABAK" restore -q --threads 1 good.vmab -C to/folder
	expect_text "$err" 'writing back'
	[ -z "$(ls -A to)" ] || fail "$how: left: $(ls -A to)"
	expect_code "$code" failing "$how" "$VMABAK" restore -q --threads 1 --force good.vmab -d disk0=old.raw
	expect_code "$code" failing "$how" "$VMABAK" salvage -q good.vmab -C to/folder
	[ -z "$(ls -A to)" ] || fail "$how: left: $(ls -A to)"
done

for how in ENOSYS EPERM; do
	expect_code 0 failing $how "$VMABAK" backup -q --force --compress none -o to/a.vmab drive.raw
	expect_code 0 failing $how "$VMABAK" restore -q --force to/a.vmab -d disk0=old.raw
	same_file drive.raw old.raw
done
# A network file system may tell that it had no right to write; that is no sandbox.
expect_code 1 failing EPERM:when=6 "$VMABAK" backup -q --force --compress none -o to/a.vmab drive.raw
