# Who reads or packs for a live backup often lets others go first while guests are at work, and only then. Only then,
# too, is memory given back at once.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh pkill
need_strace
make_random a.raw 40000000 1
start_serve a=a.raw
strace -f -qq -o swept -e trace=sched_yield -p "$serve" &
tracer=$!
on_exit 'kill $tracer 2>/dev/null'
wait_until grep -qE "^TracerPid:[[:space:]]+$tracer" "/proc/$serve/status"
guest a 'h.pread(512, 0)'
# Goes on asking, as it counts as at work for a second only.
guest a 'import time
for i in range(6000):
    h.pread(512, 0)
    time.sleep(0.05)' >asker 2>&1 &
asker=$!
on_exit 'pkill -P $asker 2>/dev/null; kill $asker 2>/dev/null'
# count WORDS FILE
count()
{
	grep -c "$1" "$2" || true
}
# 611 clusters, read two at a time; eight are packed between two pauses.
lets_others_go_first()
{
	[ "$n_swept" -ge 305 ] && [ "$(count 'sched_yield(' packed)" -ge 70 ] &&
		[ "$(count 'sendmsg(.*release' packed)" -ge 5 ]
}
# The asker itself may come too late on a busy machine.
for try in 1 2 3 4 5; do
	before=$(count 'sched_yield(' swept)
	expect_code 0 strace -f -qq -o packed -e trace=sched_yield,sendmsg -s 64 "$VMABAK" backup -q serve:c.sock --force -o a.vmab
	n_swept=$(($(count 'sched_yield(' swept) - before))
	! lets_others_go_first || break
	[ $try -lt 5 ] || fail "$n_swept pauses of those that read, $(count 'sched_yield(' packed) of those that pack," \
		"10 chunks were given back $(count 'sendmsg(.*release' packed) times"
done
pkill -P $asker
wait $asker || true
n_swept=$(grep -c 'sched_yield(' swept) || true
sleep 1.2
expect_code 0 strace -f -qq -o packed -e trace=sched_yield,sendmsg -s 64 "$VMABAK" backup -q serve:c.sock -o b.vmab
kill $tracer
wait $tracer || true
n=$(grep -c 'sched_yield(' swept) || true
[ "$n" -eq "$n_swept" ] || fail "$((n - n_swept)) pauses of those that read, for nobody"
n=$(grep -c 'sched_yield(' packed) || true
[ "$n" -eq 0 ] || fail "$n pauses of those that pack, for nobody"
n=$(grep -c 'sendmsg(.*release' packed) || true
[ "$n" -eq 0 ] || fail "$n messages for chunks alone, for nobody"
stop_serve
