# Whatever ends a backup by libvirt early, no job is left in libvirt, no file and no archive, the guest is well, and the
# next backup succeeds.
# long: many backups of a domain that runs
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_guest_in_libvirt

make_drives 20975104 12586496
truncate -s 64M fs.raw
mkfs.ext4 -q -F fs.raw
start_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"

backup="as_user $vmabak backup libvirt:web"
slow="$backup -q --rate 500K --compress none -o a.vmab"

# no_job_left WHAT: soon there is none; the next backup finds nothing of it.
no_job_left()
{
	wait_until eval '! backup_runs'
	nothing_in_libvirt
	[ -z "$(ls -A | grep -F .vma)" ] || fail "left after $1: $(ls -A)"
	guest_is_well
	expect_code 0 $backup -o next.vmab
	expect_no_text "$err" 'that a killed run had left'
	rm -f next.vmab
}

for signal in INT:130 TERM:143 HUP:129; do
	in_background $slow
	wait_until backup_runs
	kill -${signal%:*} $pid
	ended_with ${signal#*:} $pid
	! backup_runs || fail "a job is left by SIG${signal%:*}"
	no_job_left SIG${signal%:*}
done
# Before a pipe that takes nothing.
mkfifo "$TMPDIR/fifo"
sleep 600 <"$TMPDIR/fifo" &
reader=$!
on_exit "kill $reader 2>/dev/null"
in_background sh -c 'exec "$@" >"$0"' "$TMPDIR/fifo" $backup -o - --format vma
wait_until backup_runs
kill -TERM $pid
ended_with 143 $pid
kill $reader 2>/dev/null
no_job_left 'SIGTERM before a pipe that is stuck'
expect_code 6 sh -c '"$@" >/dev/full' - $backup -o -
no_job_left 'a full disk'

# Killed: the process that waits for that ends the job.
in_background $slow
wait_until backup_runs
expect_error 7 'by another run of this program' $backup -q -o b.vmab
kill -9 $pid
wait_until eval '! backup_runs'
rm -f .*.part
no_job_left SIGKILL
# Without that process the next run does.
in_background $slow
wait_until backup_runs
guard=$(pgrep -P $pid -f 'vmabak guard')
kill -STOP $guard
kill -9 $pid
wait $pid || true
kill -9 $guard
wait_until dead $guard
rm -f .*.part
backup_runs || fail 'the job went by itself'
expect_code 0 $backup -o next.vmab
expect_text "$err" 'ended a backup job in libvirt that a killed run had left'
rm -f next.vmab
no_job_left 'two kills'

# What ends under our hands: the job, also when all has been read already; the machine.
in_background $slow
wait_until backup_runs
sleep 0.5
as_user virsh -q domjobabort web
ended_with 1 $pid
no_job_left 'a job that somebody else ended'
mkfifo "$lv/pipe"
exec 8<>"$lv/pipe"
in_background sh -c 'exec "$@" >"$0"' "$lv/pipe" $backup -d vda --threads 16 -o -
wait_until backup_runs
sleep 1
as_user virsh -q domjobabort web
wait_until eval '! backup_runs'
cat <&8 >/dev/null &
on_exit "kill $! 2>/dev/null"
ended_with 1 $pid
no_job_left 'a job that ended when all was read'
in_background $slow
wait_until backup_runs
sleep 0.5
as_user virsh -q destroy web >/dev/null
ended_with 1 $pid
nothing_in_libvirt
[ ! -e a.vmab ] || fail "an archive of a machine that ended"
