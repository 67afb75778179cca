# A limit on the size of files is an error like a full disk, not a death that leaves files.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 5000000 1
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
for command in 'backup -o b.vmab drive.raw' 'convert a.vmab -o b.vma' 'restore a.vmab -C back'; do
	expect_code 6 sh -c "ulimit -f 2000 && exec \"\$VMABAK\" $command"
	grep -q '^vmabak: ' "$err" || fail "said: $(cat "$err")"
	nothing_but a.vmab drive.raw
done
