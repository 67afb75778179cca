# Dependent writers go at two drives, and a third one counts what was answered, while at random moments the server or the
# command is killed, also in the middle of a pivot: where the state says that the guest is, everything is that was answered, and the
# mirror that begins again is the same in the end. VMABAK_ROUNDS=N: so many kills.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools
need_python nbd

make_drives 8392192 4197888
truncate -s 1M C.raw
mkdir near far
mv A.raw B.raw C.raw near
here=near there=far
writing='--chains 2 --connections 2 --longest 100000 --rate 2000'

# Writes N to the drive, and to a file when that was answered.
cat >count.py <<'PY'
import nbd, os
answered = os.open("answered", os.O_WRONLY)
h = nbd.NBD()
h.connect_uri("nbd+unix:///C?socket=nbd.sock")
n = int.from_bytes(h.pread(8, 4096), "little")
while True:
    n += 1
    h.pwrite(n.to_bytes(8, "little") * 512, 4096)
    os.pwrite(answered, b"%012d\n" % n, 0)
PY

# What the writers before have said does not count.
write()
{
	rm -f writers.out writers.err
	start_writers $writing "$@"
}
serve_and_write()
{
	start_serve --map A=A.map --map B=B.map --map C=C.map A=$here/A.raw B=$here/B.raw C=$here/C.raw
	write ${1:-}
	"$PYTHON" count.py 2>/dev/null &
	counter=$!
	on_exit "kill -9 $counter 2>/dev/null"
}
stop_counter()
{
	kill $counter 2>/dev/null || :
	wait $counter 2>/dev/null || :
}
mirror() { "$VMABAK" mirror "$@"; }
begin() { mirror start serve:control -d A=$there/A.raw -d B=$there/B.raw -d C=$there/C.raw --state s.json --force; }

# Where the guest is, by the state; it has all that was answered.
find_guest()
{
	if [ -e s.json ] && grep -q '"phase":"pivoted"' s.json && grep -q "\"drive\":\"$PWD/$there/A.raw\"" s.json; then
		swap=$here here=$there there=$swap
	fi
	"$PYTHON" -S -c 'import sys
found, answered = int.from_bytes(open(sys.argv[1], "rb").read()[4096:4104], "little"), int(open("answered").read())
sys.exit(found < answered and f"{answered} was answered, and {sys.argv[1]} has {found}")' $here/C.raw || fail "round $round"
}
nothing_left() { [ "$(mirror status serve:control --json | grep -c '"left_bytes": 0,')" = 3 ]; }

echo 000000000000 >answered
start_judge
round=0
serve_and_write
while [ $round -lt "${VMABAK_ROUNDS:-3}" ]; do
	round=$((round + 1))
	expect_code 0 begin
	case $((round % 3)) in
	0)	sleep "0.0$((round * 7919 % 70 + 10))" ;;
	*)
		mirror wait serve:control -q 2>/dev/null || [ $? = 3 ] || fail "wait: round $round"
		mirror pivot serve:control -q 2>/dev/null >&2 &
		pivot=$!
		sleep "0.0$((round * 7919 % 70 + 10))"
		[ $((round % 2)) = 0 ] || kill -9 $pivot 2>/dev/null || :
		;;
	esac
	kill -9 $serve
	wait $serve 2>/dev/null || :
	wait $pivot 2>/dev/null || :
	wait $writers 2>/dev/null || :
	stop_counter
	find_guest
	# Of a request in flight a part may have been done: it is done again first.
	serve_and_write --resume
	stop_writers
	ask_judge $here/A.raw $here/B.raw
	write --resume
done
expect_code 0 begin
mirror wait serve:control -q 2>/dev/null || [ $? = 3 ] || fail "the last wait"
stop_writers
stop_counter
wait_until nothing_left
stop_serve
ask_judge $there/A.raw $there/B.raw
for drive in A B C; do
	same_file near/$drive.raw far/$drive.raw
done
