# The copy of a mirror is put on the disk while it goes on, and an error of that is told once, to whichever call asks first: the
# mirror fails, and no guest notices. A sandbox without the call loses nothing.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
make_random a.raw 48000000 1
real=$VMABAK
# serve_failing ERROR: with that result of sync_file_range.
serve_failing()
{
	cat >failing <<-EOF
		#!/bin/sh
		exec strace -D -f -qq -o trace -e trace=sync_file_range -e inject=sync_file_range:error=$1 "$real" "\$@"
	EOF
	chmod +x failing
	VMABAK=$PWD/failing
	start_serve a=a.raw
	VMABAK=$real
	rm -f t.raw
	expect_code 0 "$VMABAK" mirror start serve:c.sock -d a=t.raw
}
# The 200th is one that waits: each 256 KiB takes one, and from 32 MiB on two.
for how in EIO:when=1 EIO:when=200; do
	serve_failing $how
	expect_error 1 'drive a: the target: writing at byte' "$VMABAK" mirror wait serve:c.sock
	guest a 'h.pwrite(b"x" * 100000, 65536 * 20); h.flush()'
	expect_error 1 'drive a: the target: writing at byte' "$VMABAK" mirror pivot serve:c.sock
	expect_code 0 "$VMABAK" mirror abort serve:c.sock
	stop_serve
done
for how in ENOSYS EPERM; do
	serve_failing $how
	expect_code 0 "$VMABAK" mirror wait serve:c.sock
	expect_code 0 "$VMABAK" mirror abort serve:c.sock
	stop_serve
	same_file a.raw t.raw
done
