# A full disk: code 6, and nothing left.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 5000000 1
expect_code 0 "$VMABAK" backup -o a.vmab drive.raw
expect_code 0 "$VMABAK" backup -o a.vma drive.raw
mkdir full
# Ten times a command, its exit code and what is left.
# shellcheck disable=SC2016 # for the inner shell
expect_code 0 in_private_mounts sh -c '
	mount -t tmpfs -o size=2m tmpfs full || exit 77
	while read -r arguments; do
		eval "\"\$VMABAK\" $arguments" >/dev/null 2>said
		echo "$? $(grep -c "No space left on device" said) $(wc -l <said) $(ls -A full)"
		rm -rf full/*
	done' <<'END'
backup -o full/b.vmab drive.raw
backup -o full/b.vma drive.raw
backup -o full/b.vma.gz drive.raw
backup -o full/b.vmab --record-size 64K drive.raw
backup -o - drive.raw >full/b && true
convert a.vmab -o full/b.vma
restore a.vmab -C full
restore a.vmab -C full/new
restore a.vma -d disk0=full/x
END
sed -n '5s/ b$/ /p' "$out" >five
sed -i '5s/ b$/ /' "$out"
[ -s five ] || fail "standard output is not ours to remove"
[ "$(sort -u "$out")" = '6 1 1 ' ] || fail "$(cat "$out")"

# Devices that are always full, and results that cannot be written.
for arguments in 'backup -o - drive.raw' 'backup -o - --format vma drive.raw' 'list a.vmab' \
	'list --json a.vmab' 'verify a.vmab' 'help' '--version' 'convert a.vma -o -' 'completion bash'; do
	expect_code 6 sh -c "\"\$VMABAK\" $arguments >/dev/full"
	expect_text "$err" 'No space left on device'
done
expect_code 6 "$VMABAK" backup -o /dev/full --format vmab drive.raw
[ -c /dev/full ] || fail "/dev/full was replaced"
