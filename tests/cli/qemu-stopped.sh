# A backup that is stopped does not hold up the guest: ^Z does nothing to it, and after SIGSTOP the guard has it go
# on and end.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
two_drives

# At a terminal: in a process group of its own, whose parent is in another one; others ^Z does not stop at all.
as_a_job()
{
	rm -f "$TMPDIR/job"
	in_background "$PYTHON" -c 'import os, subprocess, sys
job = subprocess.Popen(sys.argv[2:], preexec_fn=os.setpgrp)
open(sys.argv[1], "w").write(str(job.pid))
sys.exit(job.wait())' "$TMPDIR/job" "$@"
	wait_until test -s "$TMPDIR/job"
	job=$(cat "$TMPDIR/job")
	wait_until jobs_run
}

stopped()
{
	grep -q 'T (stopped)' "/proc/$job/status"
}

# Clusters that are not saved yet.
guest_writes()
{
	timeout 200 qemu-io -f raw -c "write -q -P $1 16M 4M" "$uri_A" || fail "the guest's write"
}

as_a_job "$VMABAK" backup -q "qemu:$qmp" --rate 2M --buffer 16M --compress none -o a.vmab
for signal in TSTP TTIN TTOU; do
	kill -$signal $job
done
sleep 0.2
! stopped || fail '^Z stopped it'
guest_writes 1
kill -TERM $job
wait $pid || true
nothing_in_qemu

as_a_job "$VMABAK" backup -q "qemu:$qmp" --rate 2M --buffer 16M --compress none -o a.vmab
kill -STOP $job
guest_writes 2
ended_with 1 $pid
expect_text "$err" 'was stopped (SIGSTOP)'
nothing_in_qemu
# A snapshot in QEMU needs somebody who looks after its room.
as_a_job "$VMABAK" backup -q "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$TMPDIR" --rate 2M \
	--compress none -o a.vmab
kill -STOP $job
ended_with 1 $pid
expect_text "$err" 'was stopped (SIGSTOP)'
nothing_in_qemu
nothing_but a.raw b.qcow2
