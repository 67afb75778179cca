# Backups with --resume that are killed at any moment, in any way, and taken up until one is done; two at once; what is
# left is taken up by nobody else, and what cannot be taken up is refused.
. "$(dirname "$0")/lib.sh"

kept=.a.vmab.resume.part
make_random d.raw 3000000 1

# Killed, then ended, then out of room, then done: the archive has the uuid and the time of the first run.
in_background env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --resume --rate 300K --compress none -o a.vmab d=d.raw
wait_until has_part . 600000
paused $pid expect_error 7 'another run is writing it' "$VMABAK" backup --resume --compress none -o a.vmab d=d.raw
kill -9 $pid
wait $pid || true
first=$(size_of $kept)
in_background "$VMABAK" backup --resume --rate 300K --compress none -o a.vmab d=d.raw
wait_until has_part . $((first + 300000))
kill -TERM $pid
wait $pid || true
expect_no_text "$err" 'nothing was kept'
second=$(size_of $kept)
[ "$second" -gt "$first" ] || fail "$second bytes after $first"
expect_code 6 sh -c 'ulimit -f $(($1 / 512 + 200)); shift; "$@"' - "$second" \
	"$VMABAK" backup --resume --compress none -o a.vmab d=d.raw
third=$(size_of $kept)
[ "$third" -gt "$second" ] || fail "$third bytes after $second"
expect_code 0 "$VMABAK" backup --resume --json --compress none -o a.vmab d=d.raw
expect_text "$out" "\"kept_bytes\": $third,"
uuid=$("$VMABAK" list --json a.vmab | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --uuid "$uuid" --compress none -o b.vmab d=d.raw
same_file a.vmab b.vmab
nothing_but a.vmab b.vmab d.raw

# One that is there is replaced when the new one is done, and not before, behind a link, too.
ln -s a.vmab link.vmab
in_background "$VMABAK" backup --force --resume --rate 300K --compress none -o link.vmab d=d.raw
wait_until has_part . 600000
kill -9 $pid
wait $pid || true
same_file a.vmab b.vmab
expect_code 0 "$VMABAK" backup --force --resume --compress none -o link.vmab d=d.raw
[ -L link.vmab ] && ! cmp -s a.vmab b.vmab || fail 'not replaced'
expect_code 0 "$VMABAK" verify a.vmab
rm a.vmab b.vmab link.vmab

# A run without the option begins anew, and removes it; another archive's does not.
in_background "$VMABAK" backup --resume --rate 300K --compress none -o a.vmab d=d.raw
wait_until has_part . 600000
kill -9 $pid
wait $pid || true
expect_code 0 "$VMABAK" backup -o b.vmab d=d.raw
[ -f $kept ] || fail 'removed by a backup of another name'
expect_code 0 "$VMABAK" backup -o a.vmab d=d.raw
nothing_but a.vmab b.vmab d.raw
rm a.vmab

# An increment, whose parent is looked at again.
cp d.raw e.raw
printf changed | dd of=e.raw bs=1 seek=2000000 conv=notrunc status=none
in_background "$VMABAK" backup --resume --rate 20K --compress none -o a.vmab --parent b.vmab d=e.raw
wait_until has_part . 600
kill -9 $pid
wait $pid || true
expect_code 0 "$VMABAK" backup --resume --json --compress none -o a.vmab --parent b.vmab d=e.raw
expect_no_text "$out" '"kept_bytes": 0'
expect_code 0 "$VMABAK" restore a.vmab b.vmab -d d=back
same_file e.raw back
rm back a.vmab a.vmab.sums e.raw

# Files of others.
ln -s b.vmab $kept
expect_error 1 "$kept" "$VMABAK" backup --resume -o a.vmab d=d.raw
rm $kept
ln b.vmab $kept
expect_error 2 'remove it' "$VMABAK" backup --resume -o a.vmab d=d.raw
rm $kept
mkdir $kept
expect_error 1 "$kept" "$VMABAK" backup --resume -o a.vmab d=d.raw
rmdir $kept

# What cannot be taken up.
no_file='is for an archive that is'
expect_error 2 "$no_file" "$VMABAK" backup --resume -o - --format vma d=d.raw
expect_error 2 "$no_file" "$VMABAK" backup --resume -o /dev/null d=d.raw
expect_error 2 'standard input' "$VMABAK" backup --resume -o a.vmab d=-,size=1M </dev/null
expect_error 2 '--allow-writers exclude' "$VMABAK" backup --resume --allow-writers -o a.vmab d=d.raw
expect_error 2 '--to and --resume exclude' "$VMABAK" backup --resume --to . --name web d=d.raw
for machine in qemu:none.sock serve:none.sock; do
	expect_error 2 'the instant of a machine that runs is gone' "$VMABAK" backup --resume -o a.vmab $machine
done
nothing_but b.vmab d.raw
