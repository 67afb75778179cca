# A drive from standard input, of a size that is said: no byte less, no byte more.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 9000000 1
truncate -s 30000000 drive.raw
make_random other.raw 300000 2
for threads in 1 4; do
	expect_code 0 sh -c 'cat drive.raw | "$VMABAK" backup --threads '$threads' -o '$threads'.vmab \
		other=other.raw root=-,size=30000000 last=other.raw'
	expect_code 0 "$VMABAK" restore $threads.vmab -C back
	same_file drive.raw back/root.raw
	same_file other.raw back/other.raw
	same_file other.raw back/last.raw
	rm -r back
done
# Zeros that were read take no room; the archive is as that of the file itself.
[ "$(size_of 1.vmab)" -lt 9800000 ] || fail "zeros are stored: $(size_of 1.vmab) bytes"
SOURCE_DATE_EPOCH=1700000000
export SOURCE_DATE_EPOCH
uuid=01234567-89ab-cdef-0123-456789abcdef
expect_code 0 "$VMABAK" backup --uuid $uuid -o file.vmab root=drive.raw
expect_code 0 sh -c '"$VMABAK" backup --uuid $0 -o pipe.vmab root=-,size=30000000 <drive.raw' $uuid
same_file file.vmab pipe.vmab
expect_code 0 sh -c 'cat other.raw | "$VMABAK" backup -o - --format vma d=-,size=300000,format=raw | cat >o.vma'
expect_code 0 "$VMABAK" verify o.vma
# Slowly, and through a pipe that somebody made non-blocking.
expect_code 0 "$PYTHON" -c 'import os, subprocess, sys, time
reader, writer = os.pipe()
os.set_blocking(reader, False)
child = subprocess.Popen([sys.argv[1], "backup", "-o", "slow.vmab", "root=-,size=300000"], stdin=reader)
os.close(reader)
for part in range(3):
    time.sleep(0.1)
    os.write(writer, open("other.raw", "rb").read()[part * 60000:(part + 1) * 60000])
with open(writer, "wb") as rest:
    rest.write(open("other.raw", "rb").read()[180000:])
sys.exit(child.wait())' "$VMABAK"
expect_code 0 "$VMABAK" restore slow.vmab -d root=slow.raw
same_file other.raw slow.raw
rm ./*.vmab o.vma slow.raw

# Short, long, not there, damaged: an error with what was expected, and no archive.
for size in 30000001 40M; do
	expect_code 1 sh -c 'cat drive.raw | "$VMABAK" backup -o a.vmab other=other.raw root=-,size='$size
	expect_text "$err" 'standard input: ended after 30000000 bytes, and the drive has' ',size='
done
expect_text "$err" 'the drive has 41943040 (40.0 MiB)'
for size in 29999999 1; do
	expect_code 1 sh -c 'cat drive.raw | "$VMABAK" backup -o a.vmab root=-,size='$size
	expect_text "$err" "standard input: has more than $size bytes, and the drive has $size"
done
expect_code 1 sh -c '"$VMABAK" backup -o a.vmab root=-,size=1M </dev/null'
expect_code 1 sh -c '"$VMABAK" backup -o a.vmab root=-,size=1M <&-'
expect_code 1 sh -c '"$VMABAK" backup -o a.vmab root=-,size=1M <.'
expect_text "$err" 'standard input: reading at byte 0: Is a directory'
nothing_but drive.raw other.raw

expect_error 2 'with its size' "$VMABAK" backup -o a.vmab root=-
expect_error 2 'with its size' "$VMABAK" serve --control c.sock --nbd unix:n.sock root=-
expect_error 2 'one drive only' "$VMABAK" backup -o a.vmab a=-,size=1M b=-,size=1M
expect_error 2 ',size= is for standard input' "$VMABAK" backup -o a.vmab drive.raw,size=1M
expect_error 2 'is raw' "$VMABAK" backup -o a.vmab root=-,size=1M,format=qcow2
expect_error 2 'is raw' "$VMABAK" backup --direct -o a.vmab root=-,size=1M
nothing_but drive.raw other.raw

# One that gives nothing more: a signal ends the wait, and nothing is left.
need mkfifo
mkfifo "$TMPDIR/pipe"
sleep 300 >"$TMPDIR/pipe" &
on_exit "kill $! 2>/dev/null"
in_background sh -c 'exec "$VMABAK" backup -o a.vmab root=-,size=1M <"$TMPDIR/pipe"'
wait_until has_part . 0
kill -TERM $pid
ended_with 143 $pid
nothing_but drive.raw other.raw
