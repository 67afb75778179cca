# A nightly backup over ssh, in the form that the documents show: whatever fails, yesterday's archive stays, and the
# pipe does not end with 0. ssh is a shell in another folder.
. "$(dirname "$0")/../cli/lib.sh"

command="ssh store 'vmabak convert -q --force - -o web.vmab'"
for page in README.md man/vmabak.1 man/vmabak-backup-qemu.1; do
	grep -qF "$command" "$SRC/$page" || fail "$page does not show what is tried here"
done
# No document shows the form that truncates it, but to warn.
for file in "$SRC/README.md" "$SRC"/man/* "$SRC"/examples/*; do
	! grep -E 'cat >[^>].*\.vm' "$file" | grep -v -e 'would truncate' -e '^\.Li cat >web.vmab' ||
		fail "$file shows how to truncate an archive"
done

mkdir bin store
ln -s "$VMABAK" bin/vmabak
cat >bin/ssh <<END
#!/bin/sh
shift
cd '$PWD/store' || exit 255
exec sh -c "\${REMOTE_LIMIT:-:}; exec \$*"
END
chmod +x bin/ssh
PATH=$PWD/bin:$PATH
make_random web.raw 6000000 1
truncate -s 20M web.raw

# nightly OPTIONS...: the line of the documents.
nightly()
{
	vmabak backup -q -o - "$@" | eval "$command"
}

# as_before CODE...: how the pipe ended, and yesterday's archive is there.
as_before()
{
	cmp store/web.vmab yesterday || fail "$2: yesterday's archive is not what it was"
	[ "$1" != 0 ] || fail "$2: the pipe ended with 0"
	[ "$3" = part ] || [ "$(ls -A store)" = web.vmab ] || fail "$2: left $(ls -A store)"
}

expect_code 0 nightly root=web.raw
[ ! -s "$err" ] || fail "said: $(cat "$err")"
# Back again, without a copy in between.
ssh store 'cat web.vmab' | vmabak restore -q - -C restored
cmp web.raw restored/root.raw || fail "not what was backed up"
cp store/web.vmab yesterday
put web.raw 3000000 'today is another day'
expect_code 0 nightly root=web.raw
! cmp -s store/web.vmab yesterday || fail "was not replaced"
cp store/web.vmab yesterday

code=0; nightly root=missing.raw 2>/dev/null || code=$?
as_before $code 'a backup that does not begin' none
# Killed half-way.
( vmabak backup -q --rate 2M -o - root=web.raw & echo $! >backup.pid; wait $! ) 2>/dev/null | eval "$command" 2>/dev/null &
pipe=$!
part_of_half() { [ -n "$(find store -name '*.part' -size +1000k)" ]; }
wait_until part_of_half
kill -9 "$(cat backup.pid)"
code=0; wait $pipe || code=$?
as_before $code 'a killed backup' none
# A network that ends in between.
code=0; vmabak backup -q -o - root=web.raw 2>/dev/null | head -c 3000000 | eval "$command" 2>/dev/null || code=$?
as_before $code 'a network that was cut' none
# The other host crashes.
vmabak backup -q --rate 2M -o - root=web.raw 2>/dev/null | sh -c "exec env PATH='$PATH' $command" 2>/dev/null &
pipe=$!
wait_until part_of_half
kill -9 $pipe
code=0; wait $pipe 2>/dev/null || code=$?
as_before $code 'a store that was killed' part
find store -name '*.part' -delete
# A full store.
code=0; REMOTE_LIMIT='ulimit -f 4000' nightly root=web.raw 2>/dev/null || code=$?
as_before $code 'a full store' none
# A warning is lost, as the documents say, but with pipefail.
warned="vmabak backup -q -o - --format vma --record-size 4096 root=web.raw | $command"
expect_code 0 bash -c "$warned"
expect_text "$err" 'warning: '
expect_code 3 bash -c "set -o pipefail; $warned"
# And the night after.
expect_code 0 nightly root=web.raw
