# A drive that is renamed, removed, linked, or gets another mode while it is read was not changed.
# One that is written to was, whatever else happens to it.
# long: waits for times of change to differ
. "$(dirname "$0")/lib.sh"

make_random content 25000000 1

# while_read CODE COMMAND: what the backup ends with when that is done meanwhile.
while_read()
{
	rm -f drive.raw moved a.vmab back
	cp content drive.raw
	chmod 600 drive.raw
	touch -d '2020-01-01' drive.raw
	in_background "$VMABAK" backup --rate 20M -o a.vmab drive.raw
	wait_until has_part . 100000
	eval "$2"
	ended_with "$1" $pid
	[ "$1" = 0 ] || expect_text "$err" 'drive.raw changed while it was read'
	expect_code 0 "$VMABAK" verify a.vmab
	[ "$1" != 0 ] || {
		expect_code 0 "$VMABAK" restore a.vmab -d disk0=back
		same_file content back
	}
}
while_read 0 'mv drive.raw moved'
while_read 0 'rm drive.raw'
while_read 0 'cp content other && mv other drive.raw'
while_read 0 'ln drive.raw moved'
while_read 0 'chmod 640 drive.raw'
[ "$(id -u)" != 0 ] || while_read 0 'chown 65534:65534 drive.raw'
while_read 3 'put drive.raw 24000000 changed'
while_read 3 'put drive.raw 24000000 changed; mv drive.raw moved'
while_read 3 'exec 4<>drive.raw; rm drive.raw; printf changed >&4; exec 4>&-'
# The time of the write is hidden, and the ctime tells.
while_read 3 'put drive.raw 24000000 changed; touch -d 2020-01-01 drive.raw'
while_read 3 '"$PYTHON" -c "import mmap
with open(\"drive.raw\", \"r+b\") as file:
    mmap.mmap(file.fileno(), 0)[24000000] = 7"'
