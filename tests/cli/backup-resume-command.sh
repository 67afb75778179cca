# backup --resume to a command: another one, --resume-check, tells what is there. Killed at any moment and taken up until
# it is done; one that lies, fails or talks nonsense; a drive that changed in between; what is written behind its back.
. "$(dirname "$0")/lib.sh"

need sha256sum truncate
export XDG_STATE_HOME="$PWD/state"
notes=state/vmabak/uploads
make_random d.raw 3000000 1
to='exec:echo "$VMABAK_OFFSET" >>offsets; truncate -s "$VMABAK_OFFSET" there; echo $$ >writer; exec cat >>there'
check='touch there; stat -c %s there; sha256sum there'

has_bytes()
{
	[ -f there ] && [ "$(size_of there)" -ge "$1" ]
}

# run OPTION...
run()
{
	"$VMABAK" backup --resume --resume-check "$check" --compress none -o "$to" "$@" d=d.raw
}

# broken BYTES SIGNAL: all of the command has ended, too, when it returns.
broken()
{
	in_background env ${epoch:-} "$VMABAK" backup --resume --resume-check "$check" --compress none --rate 300K -o "$to" d=d.raw
	wait_until has_bytes "$1"
	[ "$2" = TERM ] || paused $pid expect_error 7 'another run is writing' run
	kill -"$2" $pid
	wait $pid || true
	wait_until no_writer
}

no_writer()
{
	dead "$(cat writer)"
}

# Killed, ended, done: byte for byte a run that did not break off.
epoch=SOURCE_DATE_EPOCH=1700000000
broken 600000 KILL
epoch=
first=$(size_of there)
broken $((first + 300000)) TERM
second=$(size_of there)
[ "$second" -gt "$first" ] || fail "$second bytes after $first"
expect_code 0 run --json
expect_text "$out" "\"kept_bytes\": $second,"
[ "$(cat offsets)" = "$(printf '0\n%s\n%s' "$first" "$second")" ] || fail 'other offsets'
uuid=$("$VMABAK" list --json there | sed -n 's/.*"uuid": "\([^"]*\)".*/\1/p' | head -n 1)
expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --uuid "$uuid" --compress none -o whole.vmab d=d.raw
same_file there whole.vmab
[ -z "$(ls $notes)" ] || fail 'a note is left'
expect_code 0 "$VMABAK" restore there -d d=back
same_file d.raw back
rm back

# A drive that changed: begun anew, and said.
rm -f there writer
broken 600000 KILL
printf changed | dd of=d.raw bs=1 seek=10 conv=notrunc status=none
expect_code 0 run
expect_text "$err" 'not what is written now: begun anew'
expect_code 0 "$VMABAK" restore there -d d=back
same_file d.raw back
[ -z "$(ls $notes)" ] || fail 'a note is left'
rm back

# One that lies at first; longer than the archive; one that fails, and nonsense.
rm -f there writer
broken 600000 KILL
printf x | dd of=there bs=1 seek=1000 conv=notrunc status=none
expect_code 0 run
expect_text "$err" 'begun anew'
rm -f there writer
broken 600000 KILL
truncate -s 4000000 there
expect_code 0 run
expect_text "$err" 'begun anew'
rm -f there writer
broken 600000 KILL
good=$check
check='exit 3'
expect_error 1 'failed with exit code 3' run
for check in 'echo 5' 'echo x y' 'true' 'echo 5 0123' 'yes | head -c 100000'; do
	expect_error 1 'does not print a number of bytes' run
done
in_background "$VMABAK" backup --resume --resume-check 'touch asked; exec sleep 600' -o "$to" d=d.raw
wait_until [ -e asked ]
kill -INT $pid
wait $pid && fail 'ended well' || true
check=$good
expect_code 0 run --json
expect_no_text "$out" '"kept_bytes": 0'

# What somebody else writes to it meanwhile.
to='exec:truncate -s "$VMABAK_OFFSET" there; cat >>there; echo more >>there'
expect_error 1 'is not the archive' run

expect_error 2 'needs --resume and' "$VMABAK" backup --resume-check true -o a.vmab d=d.raw
expect_error 2 'needs --resume and' "$VMABAK" backup --resume --resume-check true -o a.vmab d=d.raw
expect_error 2 'with --resume-check for exec' "$VMABAK" backup --resume -o exec:true d=d.raw
