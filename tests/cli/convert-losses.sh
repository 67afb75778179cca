# What VMA cannot carry is left out by convert, and said: code 3.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 513 1
head -c 70000 /dev/zero >large.conf
echo x >small.conf
expect_code 0 "$VMABAK" backup -o a.vmab --note 'before the move' -c large.conf -c small.conf drive.raw
expect_code 3 "$VMABAK" convert -v a.vmab -o a.vma
expect_text "$err" 'warning: the note is left out' 'warning: left out' large.conf \
	'stored as 1024 bytes'
expect_code 0 "$VMABAK" verify a.vma
expect_code 0 "$VMABAK" restore a.vma -C back
[ "$(ls -A back | tr '\n' ' ')" = 'disk0.raw small.conf ' ] || fail "restored $(ls -A back)"
cmp -n 513 drive.raw back/disk0.raw || fail "the drive differs"
# Between archives of one kind nothing is lost.
expect_code 0 "$VMABAK" convert a.vmab -o b.vmab --compress zstd:19
expect_code 0 "$VMABAK" list b.vmab
expect_text "$out" 'before the move' large.conf
# An archive is not converted onto itself, nor over another.
cp a.vmab before
expect_error 2 a.vmab "$VMABAK" convert a.vmab -o a.vmab
expect_error 2 'is the archive to be read' "$VMABAK" convert a.vmab -o a.vmab --force
expect_error 2 'exists already' "$VMABAK" convert a.vmab -o b.vmab
same_file before a.vmab
