# An incremental backup writes the sums of its instant beside the archive, or where --sums says: the same bytes that
# 'vmabak sums' makes, by any number of threads. Without them the archive is as good.
. "$(dirname "$0")/lib.sh"

make_random a.raw 3000001 1
truncate -s 40000000 a.raw
make_random b.raw 700000 2
expect_code 0 "$VMABAK" backup -q -o 0.vmab a=a.raw b=b.raw
nothing_but 0.vmab a.raw b.raw
expect_error 2 'exclude each other' "$VMABAK" backup -o 1.vmab --sums s --no-sums a=a.raw
expect_error 2 'VMA has no increments' "$VMABAK" backup -o 1.vma --sums s a=a.raw
expect_error 2 'cannot be written to a pipe' "$VMABAK" backup -o 1.vmab --sums - a=a.raw
expect_error 2 'is no sums file' "$VMABAK" backup --force -o 1.vmab --sums a.raw a=a.raw
expect_error 2 'exists already; --force' "$VMABAK" backup -o 1.vmab --sums a.raw a=a.raw
expect_code 1 "$VMABAK" backup -o 1.vmab --sums nowhere/s a=a.raw
nothing_but 0.vmab a.raw b.raw

# A full archive's, and those of increments upon increments: data, zeros, what grows, shrinks and is new.
# check ARCHIVE SUMS
check()
{
	expect_code 0 "$VMABAK" sums -q --force "$1" -o again.sums
	same_file "$2" again.sums
	rm again.sums
}
expect_code 0 "$VMABAK" backup -q --force -o 0.vmab --sums zero.sums a=a.raw b=b.raw
check 0.vmab zero.sums
parent=0.vmab
for n in 1 2 3; do
	make_random piece $((n * 70000)) $n
	dd if=piece of=a.raw bs=4096 seek=$((n * 55)) conv=notrunc status=none
	[ $n != 2 ] || { truncate -s 50000000 a.raw && dd if=/dev/zero of=a.raw bs=65536 seek=2 count=3 conv=notrunc status=none; }
	[ $n != 3 ] || { truncate -s 1500000 a.raw && make_random c.raw 100000 9; }
	set -- a=a.raw b=b.raw
	[ $n != 3 ] || set -- a=a.raw c=c.raw
	for threads in 1 3; do
		SOURCE_DATE_EPOCH=$n expect_code 0 "$VMABAK" backup --json --force --uuid 0000000$n-0000-0000-0000-00000000000$n \
			--threads $threads --parent $parent -o $n.vmab "$@"
		expect_json "$out" "d['sums'] == '$n.vmab.sums'"
		check $n.vmab $n.vmab.sums
		mv $n.vmab.sums $threads.of.$n
	done
	same_file 1.of.$n 3.of.$n
	cp 1.of.$n $n.vmab.sums
	parent=$n.vmab
	[ $n != 1 ] || parent=$n.vmab.sums
done
rm ./*.of.* piece

# Of clusters that were not read, as a list of changes leaves them out, too.
size=$(size_of a.raw)
printf '# vmabak changes 1\n# size %s\n131072 65536\n# end 1\n' "$size" >list
put a.raw 140000 listed
expect_code 0 "$VMABAK" backup -q --parent 3.vmab --changed a=list --since-unchecked -o 4.vmab a=a.raw c=c.raw
check 4.vmab 4.vmab.sums
expect_code 0 "$VMABAK" backup -q -o full.vmab a=a.raw c=c.raw
expect_code 0 "$VMABAK" diff 4.vmab.sums full.vmab
rm full.vmab list 4.vmab 4.vmab.sums

# None: when not wanted, and beside a pipe; there only if they are named.
expect_code 0 "$VMABAK" backup --json --no-sums --parent 3.vmab -o 4.vmab a=a.raw
expect_json "$out" 'd["sums"] is None'
[ ! -e 4.vmab.sums ] || fail 'sums, though there should be none'
"$VMABAK" backup -q --parent 3.vmab -o - a=a.raw | cat >5.vmab
nothing_but 0.vmab 1.vmab 1.vmab.sums 2.vmab 2.vmab.sums 3.vmab 3.vmab.sums 4.vmab 5.vmab a.raw b.raw c.raw zero.sums
"$VMABAK" backup -q --parent 3.vmab -o - --sums 6.sums a=a.raw | cat >6.vmab
check 6.vmab 6.sums
# One file of sums that goes on from archive to archive.
"$VMABAK" backup -q --force --parent 6.sums -o - --sums 6.sums a=a.raw | cat >7.vmab
check 7.vmab 6.sums
rm 4.vmab 5.vmab 6.vmab 7.vmab 6.sums

# The sums of an archive that is replaced are replaced, and so are those of one that is gone; nothing else is.
expect_code 0 "$VMABAK" backup -q --force --parent 2.vmab -o 3.vmab a=a.raw
check 3.vmab 3.vmab.sums
rm 3.vmab
expect_code 0 "$VMABAK" backup -q --parent 2.vmab -o 3.vmab a=a.raw
check 3.vmab 3.vmab.sums
echo mine >4.vmab.sums
expect_code 3 "$VMABAK" backup -q --parent 2.vmab -o 4.vmab a=a.raw
expect_text "$err" 'no sums are written: 4.vmab.sums: exists already, and is no sums file'
[ "$(cat 4.vmab.sums)" = mine ] || fail 'a file of the user is gone'
expect_code 0 "$VMABAK" verify -q 4.vmab
expect_code 3 "$VMABAK" backup -q --force -o ./5.vmab --sums 5.vmab a=a.raw
expect_text "$err" 'its sums were not written' 'is the archive itself'
expect_code 0 "$VMABAK" verify -q 5.vmab
rm -f ./*.vmab.sums 4.vmab 5.vmab

# A sums file that cannot be finished is a warning: the archive is complete, and no sums are there.
expect_code 0 "$VMABAK" sums -q 2.vmab
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	# the archive is written by writev, the sums by pwrite64 or pwritev
	for inject in pwrite64:error=ENOSPC:when=1+ pwrite64:error=EIO:when=3 fsync:error=EIO:when=3 fsync:error=EIO:when=4 ; do
		expect_code 3 strace -f -qq -o /dev/null -e trace="${inject%%:*}" -e inject="$inject" \
			"$VMABAK" backup --parent 2.vmab.sums -o 8.vmab a=a.raw
		expect_text "$err" '8.vmab is complete, but its sums were not written' 8.vmab.sums
		expect_code 0 "$VMABAK" verify -q 8.vmab
		[ ! -e 8.vmab.sums ] || fail "sums were left: $inject"
		rm 8.vmab
	done
	# The archive comes first, and is durable before the sums get their name.
	strace -f -qq -o "$TMPDIR/trace" -e trace=fsync,/^rename,/^link "$VMABAK" backup -q --parent 2.vmab.sums -o 8.vmab a=a.raw
	calls=$(sed -nE 's/^[0-9]+ +(fsync|rename[a-z0-9]*|link[a-z]*)\(.*("[^"]*").*/\1\2/p; s/^[0-9]+ +fsync.*/fsync/p' "$TMPDIR/trace" |
		sed 's/rename[^"]*/name/; s/link[^"]*/name/' | tr '\n' ' ')
	[ "$calls" = 'fsync name"8.vmab" fsync fsync name"8.vmab.sums" fsync ' ] || fail "calls $calls"
	rm 8.vmab 8.vmab.sums
fi
# A folder where nothing can be written: no archive either.
if [ "$(id -u)" != 0 ]; then
	mkdir shut
	chmod 500 shut
	expect_code 1 "$VMABAK" backup -q --parent 2.vmab.sums -o shut/8.vmab a=a.raw
	rmdir shut
fi
# A disk that is full: neither.
full_disk()
{
	mkdir mnt
	in_private_mounts sh -c 'mount -t tmpfs -o size=1m none mnt && "$VMABAK" backup -q --parent 2.vmab.sums -o mnt/8.vmab b=a.raw;
		code=$?; ls -A mnt >left; exit $code'
}
make_random a.raw 3000000 77
expect_code 6 full_disk
[ ! -s left ] || fail "left: $(cat left)"
rmdir mnt
rm left

# A signal in the middle of it leaves neither; one that was there stays.
expect_code 0 "$VMABAK" backup -q --parent 2.vmab.sums -o 9.vmab a=a.raw
cp 9.vmab.sums kept
in_background "$VMABAK" backup --force --rate 200K --compress none --parent 2.vmab.sums -o 9.vmab a=a.raw
wait_until has_part . 10000
kill -TERM $pid
ended_with 143 $pid
same_file kept 9.vmab.sums
rm kept
nothing_but 0.vmab 1.vmab 2.vmab 2.vmab.sums 3.vmab 9.vmab 9.vmab.sums a.raw b.raw c.raw zero.sums
