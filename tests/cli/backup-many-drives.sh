# 250 drives fit into each format; the 255th is too many for VMA, which is said at once.
. "$(dirname "$0")/lib.sh"

make_random all.bin 1000000 1
set --
i=1
while [ $i -le 250 ]; do
	tail -c +$((i * 3000)) all.bin | head -c $((512 * (1 + i % 140))) >$i.raw
	set -- "$@" d$i=$i.raw
	i=$((i + 1))
done
for archive in a.vmab a.vma.zst; do
	expect_code 0 "$VMABAK" backup -o $archive "$@"
	expect_code 0 "$VMABAK" restore --no-sync $archive -C back
	for drive; do
		cmp "${drive#*=}" "back/${drive%=*}.raw" || fail "$drive differs"
	done
	rm -r back
done
for more in 251 252 253 254; do
	cp 1.raw $more.raw
	set -- "$@" d$more=$more.raw
done
expect_code 0 "$VMABAK" backup -o b.vma "$@"
expect_code 0 "$VMABAK" verify b.vma
expect_error 2 254 "$VMABAK" backup -o c.vma "$@" d255=1.raw
[ ! -e c.vma ] || fail "c.vma was created"
expect_code 0 "$VMABAK" backup -o c.vmab "$@" d255=1.raw
expect_error 2 254 "$VMABAK" convert c.vmab -o c.vma
[ ! -e c.vma ] || fail "c.vma was created by convert"
