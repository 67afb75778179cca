# A backup by libvirt that is stopped (SIGSTOP): the guard has it go on, and it is given up. ^Z does nothing to it.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt

make_random A.raw 8000000 1
paused_domain web "$(disk raw "$PWD/A.raw" vda)"
in_background as_user "$vmabak" backup libvirt:web --rate 500K --compress none -o a.vmab
wait_until backup_runs
for signal in TTIN TTOU STOP; do
	kill -$signal $pid
done
ended_with 1 $pid
expect_text "$err" 'was stopped (SIGSTOP)'
nothing_in_libvirt
