# backup --track that is killed, or has libvirtd or QEMU killed under it, at several moments: the parent's checkpoint
# stays, the one of the backup goes, at the latest in the next run, and the next increment is right. $LIBVIRT_KILLS (1)
# backups, and as often libvirtd, and QEMU, are killed at moments that chance chooses.
# long: many backups of a domain
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_libvirt
need pgrep
. "$CLI/tracked.sh"

make_random a.raw 3145728
qemu-img convert -f raw -O qcow2 a.raw a.qcow2
make_random b.raw 65536
qemu-img convert -f raw -O qcow2 b.raw b.qcow2
images='vda:a.qcow2 vdb:b.qcow2'
paused_domain web "$(disk qcow2 "$PWD/a.qcow2" vda) $(disk qcow2 "$PWD/b.qcow2" vdb)"
backup 0 0 --track
n=0 parent=$(of 0)
tracked="as_user $vmabak backup -q libvirt:web --compress none --track"
slow="$tracked --rate 200K -o killed.vmab" # a full one, which takes 15 s

# next CODE LISTED: an increment, of what vda was written since.
next()
{
	n=$((n + 1))
	backup $1 $n --track --parent $((n - 1)).vmab
	listed $n "$2"
	is_now $n
	parent=$(of $n)
	checkpoints "$parent"
}
# What libvirt writes down of the domain: to ask it costs more.
job_there()
{
	grep -qs '<domainbackup' "$lv/r/libvirt/qemu/run/web.xml"
}
only_parents()
{
	[ "$(ls "$lv/c/libvirt/qemu/checkpoint/web")" = "$parent.xml" ] && ! job_there
}
runs_with_checkpoint()
{
	[ "$(ls "$lv/c/libvirt/qemu/checkpoint/web" | wc -l)" = 2 ] && job_there
}

# The guard ends it.
domain_writes 0 5 0 64k
in_background $slow
wait_until runs_with_checkpoint
domain_writes 0 6 128k 64k
kill -9 $pid
wait_until only_parents
nothing_in_libvirt
next 0 '[2, 0]'
# So it does for a signal, before the program ends.
in_background $slow
wait_until runs_with_checkpoint
kill -TERM $pid
ended_with 143 $pid
only_parents || fail 'a checkpoint is left by SIGTERM'
# Without the guard the next run does.
in_background $slow
wait_until runs_with_checkpoint
guard=$(pgrep -P $pid -f 'vmabak guard')
kill -STOP $guard
kill -9 $pid
kill -9 $guard
domain_writes 0 7 256k 64k
rm -f .*.part
next 0 '[1, 0]'

# When all was read and the job has ended, but the archive is not durable.
if strace -f -o /dev/null true 2>/dev/null; then
	in_background as_user strace -f -o /dev/null -e trace=fsync -e inject=fsync:delay_enter=60000000 "$vmabak" backup -q \
		libvirt:web --track --parent $n.vmab -o killed.vmab
	wait_until runs_with_checkpoint
	wait_until eval '! job_there'
	kill -9 "$(pgrep -P $pid -f 'vmabak backup')"
	wait_until only_parents
	domain_writes 0 8 512k 64k
	rm -f .*.part
	next 0 '[1, 0]'
fi

n_lost=0
# The backup, or its guard, may start one itself, as any client of a session does: then that is the one.
restart_libvirtd()
{
	lib_killed=$libvirtd
	kill -9 $libvirtd
	wait $libvirtd 2>/dev/null || :
	wait_until dead $libvirtd
	as_user libvirtd --timeout 0 >>"$lv/libvirtd.log" 2>&1 &
	wait_until other_libvirtd
}
other_libvirtd()
{
	as_user virsh -q list >/dev/null 2>&1 && libvirtd=$(cat "$lv/r/libvirt/libvirtd.pid") &&
		[ "${libvirtd:-$lib_killed}" != "$lib_killed" ] && ! dead "$libvirtd"
}
# libvirt writes a job down, then what it is of, and never ends one of which it does not know that.
end_lost_job()
{
	as_user virsh -q domjobinfo web 2>&1 | grep -q 'data missing' || return 0
	as_user virsh -q destroy web
	restart_libvirtd
	as_user virsh -q start --paused web
	n_lost=$((n_lost + 1))
}
# of_kill [qemu]: what is left of a backup after a kill goes, and the next increment is right.
of_kill()
{
	rm -f killed.vmab killed.vmab.sums .*.part
	wait_until no_files_left # the guard has ended: the job may have begun after the kill
	wait_until eval '! job_there'
	end_lost_job
	# One that came to its end before is the beginning of a chain of its own, which is given up here.
	for lib_file in "$lv/c/libvirt/qemu/checkpoint/web/"*; do
		[ "$(basename "$lib_file" .xml)" != "$parent" ] && grep -q 'of a backup by vmabak<' "$lib_file" || continue
		# After a kill of QEMU there is only a file of it.
		as_user virsh -q checkpoint-delete web "$(basename "$lib_file" .xml)" ${1:+--metadata}
	done
	if [ $# = 0 ] && [ -e "$lv/c/libvirt/qemu/checkpoint/web/$parent.xml" ]; then
		next 0 '[1, 0]'
	else
		next 3 '[None, None]'
	fi
}
kills=${LIBVIRT_KILLS:-1}
domain_is_off() { [ "$(as_user virsh -q domstate web)" = 'shut off' ]; }
some_time() { sleep "$("$PYTHON" -S -c 'import os; print(os.urandom(1)[0] / 256)')"; }
increment="$tracked --rate 2M -o killed.vmab --audit 1/1"

for lib_round in $(seq $kills); do
	domain_writes 0 $((lib_round % 250)) $((lib_round % 40 * 64))k 64k
	in_background $increment --parent $n.vmab
	some_time
	kill -9 $pid 2>/dev/null || :
	wait $pid 2>/dev/null || :
	of_kill
done
# libvirtd, while the backup goes on, or begins; it fails, or has begun to be made durable.
for lib_round in $(seq $kills); do
	domain_writes 0 $((lib_round % 250)) $((lib_round % 40 * 64))k 64k
	in_background $increment --parent $n.vmab
	some_time
	restart_libvirtd
	lib_code=0
	wait $pid 2>/dev/null || lib_code=$?
	[ $lib_code -le 1 ] || [ $lib_code = 3 ] || fail "exit code $lib_code: $(cat "$err")"
	of_kill
done
[ $kills -lt 10 ] || echo "libvirtd: of $kills kills, $n_lost left a job that only a stop of the domain and of libvirtd ends"
# QEMU: its bitmaps are of no use then.
for lib_round in $(seq $kills); do
	domain_writes 0 $((lib_round % 250)) $((lib_round % 40 * 64))k 64k
	in_background $increment --parent $n.vmab
	some_time
	kill -9 "$(cat "$lv/r/libvirt/qemu/run/web.pid")"
	lib_code=0
	wait $pid 2>/dev/null || lib_code=$?
	[ $lib_code -le 1 ] || [ $lib_code = 3 ] || fail "exit code $lib_code: $(cat "$err")"
	wait_until domain_is_off
	as_user virsh -q start --paused web
	of_kill qemu
done
# libvirt 9.0 has been seen to end with its QEMU; whoever asked next has started another one.
libvirtd=$(cat "$lv/r/libvirt/libvirtd.pid")

# libvirtd is killed during the backup; the guard finds the next one, or gives up after a quarter of a minute, and then
# the next run ends what there is.
domain_writes 0 9 1M 64k
in_background $slow
wait_until runs_with_checkpoint
guard=$(pgrep -P $pid -f 'vmabak guard')
kill_libvirtd
kill -9 $pid
start_libvirt
wait_until eval '! readlink /proc/$guard/exe >/dev/null'
rm -f .*.part
next 0 '[1, 0]'
# The machine dies.
in_background $slow
wait_until runs_with_checkpoint
kill -9 "$(cat "$lv/r/libvirt/qemu/run/web.pid")"
ended_with 1 $pid
as_user virsh -q start --paused web
next 3 '[None, None]'
domain_writes 0 10 1M 64k
next 0 '[1, 0]'
