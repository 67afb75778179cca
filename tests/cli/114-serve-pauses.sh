# Who reads or packs for a live backup often lets others go first, whoever they are.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
make_random a.raw 40000000 1
start_serve a=a.raw
strace -f -qq -o swept -e trace=sched_yield -p "$serve" &
tracer=$!
on_exit 'kill $tracer 2>/dev/null'
wait_until grep -qE "^TracerPid:[[:space:]]+$tracer" "/proc/$serve/status"
expect_code 0 strace -f -qq -o packed -e trace=sched_yield "$VMABAK" backup -q --serve c.sock -o a.vmab
kill $tracer
wait $tracer || true
# 611 clusters, read two at a time; eight are packed between two pauses.
n=$(grep -c 'sched_yield(' swept) || true
[ "$n" -ge 305 ] || fail "$n pauses of the one that reads"
n=$(grep -c 'sched_yield(' packed) || true
[ "$n" -ge 70 ] || fail "$n pauses of those that pack"
stop_serve
