# The server of a target is killed at moments of chance, while a guest of the drive that is mirrored holds what it reads against what
# it wrote: it sees no error, and the mirror that begins again is the same in the end. VMABAK_ROUNDS=N: so many kills.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"
. "$CLI/far.sh"
need_python nbd

make_random a.raw 4194817 1
cp a.raw a.model
start_serve --map a=a.map a=a.raw
"$PYTHON" "$CLI/fsx.py" "${VMABAK_SEED:-1}" 1 5 'nbd+unix:///a?socket=n.sock=a.model' >fsx.out 2>fsx.err &
fsx=$!
on_exit "kill -9 $fsx 2>/dev/null"
state_is() { "$VMABAK" mirror status serve:c.sock --json >"$out" && grep -q "$1" "$out"; }
begin() { "$VMABAK" mirror start serve:c.sock -d "a=$far_uri" --state s.json --force "$@" 2>"$err"; }

truncate -s 4194817 t.raw
start_far
noted() { ! grep -q '"n_clusters":0' s.json; }
round=0
while [ $round -lt "${VMABAK_ROUNDS:-3}" ]; do
	round=$((round + 1))
	# An earlier one may wait for an answer for a moment.
	wait_until begin --rate 8M
	# Mostly when it is noted what the target has, so that the next one copies changes.
	[ $((round % 4)) = 0 ] || wait_until noted
	sleep "0.$((round * 7919 % 700 + 100))"
	kill_far
	wait_until state_is '"state": "failed"'
	kill -0 $fsx || fail "round $round: $(cat fsx.err)"
	start_far
done
wait_until begin
"$VMABAK" mirror wait serve:c.sock -q 2>"$err" || [ $? = 3 ] || fail "wait: $(cat "$err")"
: >enough
ended_with 0 $fsx
wait_until state_is '"left_bytes": 0,'
same_file a.model a.raw
same_file a.model t.raw
