# A qcow2 that is marked as corrupt or as not closed, or that has errors in its counts, is read as its
# machine would read it, and that is told. Clusters that nothing uses are no fault.
. "$(dirname "$0")/lib.sh"

need_images
make_random drive.raw 1000000 1
truncate -s 4M drive.raw
qemu-img convert -O qcow2 drive.raw good.qcow2

# marked OFFSET BYTES: image.qcow2 with these bytes in it.
marked()
{
	cp good.qcow2 image.qcow2
	"$PYTHON" -c 'import sys
with open("image.qcow2", "r+b") as file:
    file.seek(int(sys.argv[1]))
    file.write(bytes.fromhex(sys.argv[2]))' "$1" "$2"
}

# told CODE TEXT
told()
{
	expect_code "$1" "$VMABAK" backup --force --json -o a.vmab d=image.qcow2
	[ "$1" = 0 ] || expect_json "$out" "len(d['warnings']) == 1" "'$2' in d['warnings'][0]"
	expect_code 0 "$VMABAK" restore --force a.vmab -d d=back
	same_file drive.raw back
}
told_of_errors()
{
	told 3 'qemu-img check'
}
cp good.qcow2 image.qcow2
told 0
marked 79 01 # dirty
told 3 'not closed'
marked 79 02
told 3 'marked as corrupt'
# The counts of clusters are at 131072 in such an image: none of the first, one of the last.
refcounts=$("$PYTHON" -c 'import struct
head = open("good.qcow2", "rb").read()
table, = struct.unpack_from(">Q", head, 48)
print(*struct.unpack_from(">Q", head, table))')
marked "$refcounts" 0000
told 3 'qemu-img check'
marked $((refcounts + 60000)) 0001
told 0

# Others that serve or donate are told of too.
marked 79 02
. "$CLI/serve.sh"
"$VMABAK" serve --read-only --control c.sock --nbd unix:n.sock d=image.qcow2 2>serve.err &
serve=$!
on_exit "kill -9 $serve 2>/dev/null"
wait_until "$VMABAK" status c.sock >/dev/null
expect_text serve.err 'marked as corrupt'
expect_code 0 "$VMABAK" stop c.sock
ended_with 3 $serve
