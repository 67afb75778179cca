# By turns the server of a target, the process that copies and QEMU itself are killed at moments of chance: the guest sees no error
# of the first two, what it was answered is at its drive after the third, and what is mirrored again is the same in the end.
# VMABAK_ROUNDS=N: so many kills.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$CLI/far.sh"
need_images
need_python nbd
need pgrep

make_random a.raw 4194304 1
# Writes N, in turn all over the drive, and to a file when that was answered.
cat >count.py <<'PY'
import nbd, os, sys
answered = os.open("answered", os.O_WRONLY)
h = nbd.NBD()
h.connect_uri(sys.argv[1])
n = int(open("answered").read())
while not os.path.exists("enough"):
    n += 1
    h.pwrite(n.to_bytes(8, "little") * 512, n * 617 % 1024 * 4096)
    os.pwrite(answered, b"%012d\n" % n, 0)
h.flush()
h.shutdown()
PY
# has_all FILE: every write that was answered, of the last ones, which are all at other places.
has_all()
{
	"$PYTHON" -S -c 'import sys
n, data = int(open("answered").read()), open(sys.argv[1], "rb").read()
for last in range(max(n - 500, 1), n + 1):
    at = last * 617 % 1024 * 4096
    found = int.from_bytes(data[at:at + 8], "little")
    if found != last:
        sys.exit(f"{last} of {n} was answered, and {found} is in its place")' "$1" || fail "round $round"
}
start_guest()
{
	start_daemon $1 --blockdev "driver=file,filename=$PWD/a.raw,node-name=A" --export type=nbd,id=a,node-name=A,name=A,writable=on
	uri_A=$(export_uri A)
	"$PYTHON" count.py "$uri_A" 2>count.err &
	counter=$!
	on_exit "kill -9 $counter 2>/dev/null"
}
begin() { mirror_start -d "A=$far_uri" --state s.json --force "$@" 2>"$err"; }

echo 000000000000 >answered
truncate -s 4194304 t.raw
start_far
start_guest q0
noted() { ! grep -q '"n_clusters":0' s.json; }
round=0
while [ $round -lt "${VMABAK_ROUNDS:-3}" ]; do
	round=$((round + 1))
	wait_until begin --rate 8M
	# Mostly when it is noted what the target has, so that the next one copies changes.
	[ $((round % 4)) = 0 ] || wait_until noted
	sleep "0.$((round * 7919 % 700 + 100))"
	case $((round % 3)) in
	0)
		kill -9 $daemon
		wait_until gone $daemon
		wait $counter 2>/dev/null || :
		has_all a.raw
		wait_until no_keeper
		start_guest q$round
		;;
	1)
		kill_far
		wait_until state_is '"state": "failed"'
		start_far
		;;
	2)
		keeper=$(pgrep -f "^vmabak mirror keep qemu:$qmp")
		kill -9 $keeper
		wait_until gone $keeper
		;;
	esac
	kill -0 $counter || fail "round $round: $(cat count.err)"
done
wait_until begin
expect_code 0 mirror wait
: >enough
ended_with 0 $counter
wait_until nothing_left
same_drives t.raw
expect_code 0 mirror abort
has_all t.raw
same_file a.raw t.raw
nothing_of_mirrors
