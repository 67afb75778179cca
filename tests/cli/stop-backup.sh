# ^C, TERM and HUP end a backup at once; no file is left, no helper runs on, and the code and a line say so.
. "$(dirname "$0")/lib.sh"
need_images

make_random drive.raw 25000000 1
qemu-img convert -f raw -O qcow2 drive.raw disk.qcow2
all=$(ls -A)
for drive in drive.raw disk.qcow2; do
	for signal in INT:130 TERM:143 HUP:129; do
		for archive in a.vmab a.vma.gz; do
			in_background "$VMABAK" backup --rate 5M -o $archive $drive
			wait_until has_part . 10000
			kill -"${signal%:*}" "$pid"
			ended_with "${signal#*:}" "$pid"
			[ "$(ls -A)" = "$all" ] || fail "left: $(ls -A)"
			[ "$(cat "$err")" = "vmabak: $archive: interrupted; nothing was kept" ] ||
				fail "said: $(cat "$err")"
		done
	done
done
# With -q too, in JSON, and when standard output is the archive.
in_background "$VMABAK" backup -q --json --rate 5M -o a.vmab drive.raw
wait_until has_part . 10000
kill -TERM "$pid"
ended_with 143 "$pid"
[ "$(cat "$err")" = 'vmabak: a.vmab: interrupted; nothing was kept' ] || fail "said: $(cat "$err")"
expect_json "$out" "d['command'] == 'backup' and d['exit_code'] == 143 and d['warnings'] == []" \
	"d['error'] == {'code': 'interrupted', 'message': 'a.vmab: interrupted; nothing was kept'}"
mkfifo "$TMPDIR/fifo"
cat "$TMPDIR/fifo" >/dev/null &
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" timeout 2 "$VMABAK" backup -q --rate 5M -o - drive.raw
ended_with 124 "$pid"
[ "$(cat "$err")" = 'vmabak: interrupted; standard output is incomplete' ] || fail "said: $(cat "$err")"
cat "$TMPDIR/fifo" >/dev/null &
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" timeout 2 "$VMABAK" backup --json --rate 5M -o - drive.raw
ended_with 124 "$pid"
expect_json "$err" "d['error']['message'] == 'interrupted; standard output is incomplete'"
rm "$TMPDIR/fifo"
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
! grep -lsaF "$PWD/disk" /proc/[0-9]*/cmdline || fail "a helper still runs"

# What was there before stays as it was, also with --force.
echo old >a.vmab
in_background "$VMABAK" backup --rate 5M --force -o a.vmab drive.raw
wait_until has_part . 10000
kill -TERM "$pid"
ended_with 143 "$pid"
[ "$(cat a.vmab)" = old ] || fail "the old file is gone"
