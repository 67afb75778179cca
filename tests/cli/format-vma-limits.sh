# What VMA cannot hold is refused before the first byte; VMAB holds it.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
head -c 65535 /dev/zero >most.conf
head -c 65536 /dev/zero >more.conf
echo x >small.conf
truncate -s 257T "$TMPDIR/huge.raw" 2>/dev/null || rm -f "$TMPDIR/huge.raw"

expect_code 0 "$VMABAK" backup -o good.vma -c most.conf drive.raw
expect_code 0 "$VMABAK" verify good.vma
expect_error 2 more.conf "$VMABAK" backup -o bad.vma -c more.conf drive.raw

set --
for i in 1 2 3 4 5 6 7 8; do
	set -- "$@" -c c$i=most.conf
done
expect_error 2 'VMA has room for' "$VMABAK" backup -o bad.vma "$@" drive.raw
expect_error 2 'VMA has room for' "$VMABAK" backup -o - --format vma "$@" drive.raw
expect_code 0 "$VMABAK" backup -o eight.vmab "$@" -c more.conf drive.raw
expect_code 0 "$VMABAK" verify eight.vmab

set --
i=1
while [ $i -le 257 ]; do
	set -- "$@" -c c$i=small.conf
	i=$((i + 1))
done
expect_error 2 256 "$VMABAK" backup -o bad.vma "$@" drive.raw
expect_code 0 "$VMABAK" backup -o many.vmab "$@" drive.raw
expect_code 0 "$VMABAK" restore many.vmab -C back
[ "$(ls -A back | wc -l)" = 258 ] || fail "not 257 configs and a drive"
rm -r back
if [ -e "$TMPDIR/huge.raw" ]; then
	expect_error 2 disk0 "$VMABAK" backup -o bad.vma "$TMPDIR/huge.raw"
fi
nothing_but drive.raw eight.vmab good.vma many.vmab more.conf most.conf small.conf
