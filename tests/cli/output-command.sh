# exec:COMMAND: an archive to the input of a command and from the output of one. The command's exit code counts, and it
# never takes a part of an archive for all of it.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 3000000 1
echo 'one = 1' >web.conf

# There and back.
expect_code 0 "$VMABAK" backup -o 'exec:cat >a.vmab' -c web.conf root=drive.raw
expect_text "$err" 'exec:cat >a.vmab: '
expect_code 0 "$VMABAK" verify a.vmab
expect_code 0 "$VMABAK" list 'exec:cat a.vmab'
expect_text "$out" 'web.conf' 'root'
expect_code 0 "$VMABAK" verify 'exec:cat a.vmab'
expect_code 0 "$VMABAK" config 'exec:cat a.vmab' web.conf
same_file "$out" web.conf
expect_code 0 "$VMABAK" restore 'exec:cat a.vmab' -C restored
same_file drive.raw restored/root.raw
expect_code 0 "$VMABAK" convert 'exec:zstd -qc a.vmab' -o 'exec:cat >b.vmab'
same_file a.vmab b.vmab
expect_code 0 "$VMABAK" salvage 'exec:cat a.vmab' -C salvaged
same_file drive.raw salvaged/root.raw
rm a.vmab b.vmab

# What the command says is not the command's output.
expect_code 0 "$VMABAK" backup -q -o 'exec:echo stored; cat >a.vmab' root=drive.raw
[ ! -s "$out" ] || fail "standard output has $(cat "$out")"
expect_text "$err" 'stored'

# Its exit code.
expect_error 1 'failed with exit code 3' "$VMABAK" backup -o 'exec:cat >b.vmab; exit 3' root=drive.raw
expect_code 1 "$VMABAK" backup -o 'exec:/nonexistent/rclone rcat x' root=drive.raw
expect_text "$err" 'failed with exit code 127'
# That of ssh(1) is no signal.
expect_error 1 'failed with exit code 255' "$VMABAK" backup -o 'exec:cat >b.vmab; exit 255' root=drive.raw
expect_error 1 'ended by signal 9' "$VMABAK" backup -o 'exec:kill -9 $$' root=drive.raw
expect_error 1 'ended with exit code 0 before it had read all' "$VMABAK" backup -o 'exec:head -c 1000 >b.vmab' root=drive.raw
# What it left in the pipe, too.
make_random small.raw 40000 2
expect_error 1 'ended with exit code 0 before it had read all' "$VMABAK" backup -o 'exec:sleep 1; exit 0' root=small.raw
expect_error 1 'failed with exit code 5' "$VMABAK" verify 'exec:cat a.vmab; exit 5'
expect_error 4 'incomplete' "$VMABAK" verify 'exec:head -c 100000 a.vmab'
expect_error 2 'needs a command' "$VMABAK" backup -o exec: root=drive.raw

# An uploader, which stores what it got when its input ends; in a pipe, as most would have it.
cat >upload <<'END'
#!/bin/sh
echo $$ >pid
cat >part
mv part stored
END
chmod +x upload
expect_code 0 "$VMABAK" backup -o 'exec:cat | ./upload' root=drive.raw
[ -e stored ] || fail "nothing was stored"

# uploading: one that is in the middle of it
uploading()
{
	[ -e pid ] && [ -e part ] && [ "$(size_of part)" -gt 100000 ]
}
uploader_has_gone()
{
	! kill -0 "$(cat pid)" 2>/dev/null
}
begin()
{
	rm -f stored part pid
	in_background "$VMABAK" backup --rate 500K -o 'exec:cat | ./upload' root="$1"
	wait_until uploading
}
nothing_stored()
{
	wait_until uploader_has_gone
	[ ! -e stored ] || fail "$1: a part of an archive was stored as if it were all of it"
}
for signal in KILL TERM INT; do
	begin drive.raw
	kill -$signal "$pid"
	wait "$pid" || :
	nothing_stored $signal
done
# The same for a backup that fails: its drive is cut.
make_random cut.raw 60000000 2
begin cut.raw
truncate -s 600000 cut.raw
ended_with 1 "$pid"
nothing_stored 'a drive that is cut'

# One that does not heed SIGTERM is killed before its input ends.
sed -i '1a trap "" TERM' upload
rm -f stored part pid
in_background "$VMABAK" backup --rate 500K -o 'exec:./upload' root=drive.raw
wait_until uploading
kill -TERM "$pid"
wait "$pid" || :
nothing_stored 'one that does not heed SIGTERM'

# A command that fails may not have given all: what could be salvaged is told with a warning.
make_random last.raw 300000 9
expect_code 0 "$VMABAK" backup -q -o last.vmab root=last.raw
expect_code 3 "$VMABAK" salvage 'exec:cat last.vmab; exit 3' -C salvaged-last
expect_text "$err" 'reading stopped early' 'failed with exit code 3'
same_file last.raw salvaged-last/root.raw
