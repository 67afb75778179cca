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
for i in range(3000):
    h.pread(512, 0)
    time.sleep(0.1)' >asker 2>&1 &
asker=$!
on_exit 'pkill -P $asker 2>/dev/null; kill $asker 2>/dev/null'
expect_code 0 strace -f -qq -o packed -e trace=sched_yield,sendmsg -s 64 "$VMABAK" backup -q serve:c.sock -o a.vmab
# 611 clusters, read two at a time; eight are packed between two pauses.
n_swept=$(grep -c 'sched_yield(' swept) || true
[ "$n_swept" -ge 305 ] || fail "$n_swept pauses of those that read"
n=$(grep -c 'sched_yield(' packed) || true
[ "$n" -ge 70 ] || fail "$n pauses of those that pack"
n=$(grep -c 'sendmsg(.*release' packed) || true
[ "$n" -ge 5 ] || fail "10 chunks were given back $n times"
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
