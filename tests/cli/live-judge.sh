# The writers and the judge of the other tests of this kind, against servers that are not ours: copies of
# drives that stand still are right, copies of drives that are written to meanwhile are not.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need nbdkit
need_live_tools

make_drives 8388608 9000123
for name in A B; do
	nbdkit -f -U $name.sock file $name.raw &
	on_exit "kill -9 $! 2>/dev/null"
	servers="${servers:-}$! "
	wait_until test -S $name.sock
done
start_writers --chains 3 --connections 2
sleep 0.3
# all_stopped PID: each of its threads has done what it was about to write.
all_stopped()
{
	! grep -h '^State:' /proc/"$1"/task/*/status | grep -qv 'T (stopped)'
}
# What was answered before is in both, and nothing else is after it.
for server in $servers; do
	kill -STOP "$server"
	wait_until all_stopped "$server"
done
cp A.raw A.1
cp B.raw B.1
for server in $servers; do kill -CONT "$server"; done
sleep 0.3
for n in 1 2 3 4 5 6 7 8 9 10; do # a copy may happen to be right
	cp A.raw A.running
	cp B.raw B.running
	! judge A.running B.running || continue
	running=wrong
	break
done
[ "${running:-}" = wrong ] || fail "ten copies of running drives are all taken for instants"
expect_text judgement "FAILED: chain "
stop_writers
judge A.1 B.1 A.raw B.raw || fail "$(cat judgement)"
! judge A.1 B.raw || fail "drives of two instants are taken for one"
flip A.1 5000000
! judge A.1 B.1 || fail "a byte that is wrong is not seen"
