# An archive that is given as a drive, or a target, is refused, with what was probably meant; as raw it can be stored.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_random drive.raw 1000448 1
for archive in web.vmab web.vma web.vma.zst web.vma.gz; do
	expect_code 0 "$VMABAK" backup -o $archive drive.raw
	expect_error 2 "vmabak convert or restore reads it, -o $archive writes it" "$VMABAK" backup -o new.vmab $archive
	expect_error 2 ',format=raw' "$VMABAK" backup -o new.vmab root=$archive drive.raw
	expect_code 0 "$VMABAK" backup --force -o raw.vmab root=$archive,format=raw
	expect_code 0 "$VMABAK" restore raw.vmab -d root=back
	same_file $archive back
	rm back raw.vmab
done
for archive in web.vmab web.vma web.vma.zst; do
	expect_error 2 'vmabak restore restores its drives' "$VMABAK" serve --control c.sock --nbd unix:n.sock $archive
done
[ ! -e new.vmab ] && [ ! -e c.sock ] || fail "something was made"
start_serve web.vmab,format=raw
stop_serve
# Nor is one overwritten with a drive unless that is asked for.
cp web.vmab before
expect_error 2 'add ,format=raw to overwrite it' "$VMABAK" restore web.vma --force -d disk0=web.vmab
same_file before web.vmab
expect_code 0 "$VMABAK" restore web.vma --force -d disk0=web.vmab,format=raw
same_file drive.raw web.vmab
