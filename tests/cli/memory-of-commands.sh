# No command takes more than 64 MiB, whatever the size of the drives, with two threads.
# long: a hundred and fifty megabytes, in all formats
. "$(dirname "$0")/lib.sh"

make_random drive.raw 100663296 1
# Compressible data too: that is where compressors need most.
seq 1 6000000 >text.raw
truncate -s %512 text.raw
measured()
{
	expect_code 0 "$PYTHON" "$CLI/measure.py" --memory 64 "$VMABAK" "$@" --threads 2
}
for options in '-o a.vmab' '-o a.vma' '-o a.vma.zst' '-o r.vmab --record-size 16M'; do
	# shellcheck disable=SC2086 # words
	measured backup --no-sync $options drive.raw text.raw
done
measured backup --no-sync -o b.vma.gz --compress gzip:1 text.raw
for archive in a.vmab a.vma a.vma.zst r.vmab b.vma.gz; do
	measured verify $archive
done
measured restore --no-sync a.vmab -C back
rm -r back
measured restore --no-sync a.vma.zst -C back
same_file drive.raw back/disk0.raw
same_file text.raw back/disk1.raw
rm -r back r.vmab
measured convert --no-sync a.vmab -o c.vma.zst
measured convert --no-sync a.vma -o c.vmab
# A head as large as there can be: it is in memory whole, once where it is read and once where it is built.
make_random large.conf 15000000 3
measured backup --no-sync -o h.vmab -c large.conf text.raw
measured convert --no-sync h.vmab -o i.vmab
measured verify i.vmab
