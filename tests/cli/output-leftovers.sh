# What a killed run left is removed by the next one that writes a file of that name; what a living run writes is not,
# nor what only looks alike.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 3000000 1
expect_code 0 "$VMABAK" backup -o good.vmab d=drive.raw

# part NAME [N]: the N-th unfinished file that is to be called so.
part()
{
	for lib_part in ."$1".??????.part; do
		[ -e "$lib_part" ] && echo "$lib_part"
	done | sed -n "${2:-1}p"
}
has_two()
{
	[ -n "$(part a.vmab 2)" ]
}

case $(stat -f -c %T .) in
ext* | xfs | btrfs | tmpfs | overlayfs | f2fs | zfs) ;;
*) skip 'locks of this file system may not count elsewhere' ;;
esac
has_new()
{
	new=$(part a.vmab)
	[ -n "$new" ] && [ "$new" != "$old" ] && [ "$(wc -c <"$new")" -gt 10000 ]
}
touch .a.vmab.mine.part .b.a.vmab.abcdef.part
old=
for i in 1 2; do
	in_background "$VMABAK" backup --rate 200K --compress none -o a.vmab d=drive.raw
	wait_until has_new
	old=$new
	[ -z "$(part a.vmab 2)" ] || fail "left: $(ls -A)"
	kill -9 $pid
	wait $pid || true
	[ -n "$(part a.vmab)" ] || fail 'nothing was left'
done
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw
[ -z "$(part a.vmab)" ] || fail "left: $(ls -A)"

# Two at once.
in_background "$VMABAK" backup --force --rate 1M --compress none -o a.vmab d=drive.raw
wait_until has_part . 10000
living=$(part a.vmab)
paused $pid expect_code 0 "$VMABAK" backup --force -o a.vmab d=drive.raw
[ -e "$living" ] || fail 'the file of a living run is gone'
ended_with 0 $pid
expect_code 0 "$VMABAK" verify a.vmab

# Drives.
in_background "$VMABAK" restore good.vmab --rate 200K -d d=back
wait_until has_part . 1
kill -9 $pid
wait $pid || true
[ -n "$(part back)" ] || fail 'nothing was left'
expect_code 0 "$VMABAK" restore good.vmab -d d=back
same_file drive.raw back
rm .a.vmab.mine.part .b.a.vmab.abcdef.part
nothing_but a.vmab back drive.raw good.vmab
