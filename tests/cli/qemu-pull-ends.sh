# Whatever ends a pull early, the guest's writes go on without an error, nothing is left in QEMU or
# on disk, no archive appears, and the next one succeeds.
# long: many ends of a backup
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

written_drives 100
pull()
{
	"$VMABAK" backup "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$TMPDIR" "$@"
}
pull_in_background()
{
	in_background "$VMABAK" backup "qemu:$qmp" --pull --nbd-server "$exports" \
		--scratch "$TMPDIR" --rate 1M --compress none -o "$@"
	wait_until exports_there
}
next_one()
{
	nothing_in_qemu
	! exports_there || fail "an export is left after $1"
	[ -z "$(ls -A | grep -F .vma)" ] || fail "left after $1: $(ls -A)"
	expect_code 0 pull -o next.vmab
	expect_no_text "$err" 'cleaned up'
	rm next.vmab
}

for signal in INT:130 TERM:143 HUP:129; do
	pull_in_background a.vmab
	[ -z "$(find "$TMPDIR" -path '*vmabak-*' -type f)" ] || fail "a scratch image has a name"
	kill -${signal%:*} $pid
	ended_with ${signal#*:} $pid
	next_one SIG${signal%:*}
done

# An output that takes nothing at all.
mkfifo "$TMPDIR/fifo"
sleep 600 <"$TMPDIR/fifo" &
reader=$!
on_exit "kill $reader 2>/dev/null"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" "$VMABAK" backup "qemu:$qmp" --pull \
	--nbd-server "$exports" --scratch "$TMPDIR" -o - --format vma
wait_until exports_there
kill -TERM $pid
ended_with 143 $pid
kill $reader
next_one 'SIGTERM before a pipe that is stuck'

# Somebody ends a job: what is read after that is not of the instant.
pull_in_background a.vmab
"$PYTHON" - "$asking" <<'END'
import json, socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect(sys.argv[1])
lines = monitor.makefile("rw")
def ask(command, **arguments):
    print(json.dumps({"execute": command, "arguments": arguments}), file=lines, flush=True)
    while True:
        answer = json.loads(lines.readline())
        if "event" not in answer:
            return answer["return"]
lines.readline()
ask("qmp_capabilities")
ask("block-job-cancel", device=ask("query-jobs")[0]["id"], force=True)
END
ended_with 1 $pid
expect_text "$err" job
next_one 'a job that was cancelled'

# The output.
expect_code 6 sh -c 'ulimit -f 2000; exec "$@"' sh "$VMABAK" backup "qemu:$qmp" --pull \
	--nbd-server "$exports" --scratch "$TMPDIR" -o a.vmab
next_one 'a full disk'

# A second one meanwhile must not take the first one for dead.
pull_in_background a.vmab
"$VMABAK" backup "qemu:$asking" -o b.vmab 2>"$TMPDIR/second" && fail "two at once"
expect_text "$TMPDIR/second" 'being backed up by another run'
exports_there || fail "the first one was ended"
kill -TERM $pid
ended_with 143 $pid
next_one 'a second one'

stop_writers
