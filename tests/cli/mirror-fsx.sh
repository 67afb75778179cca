# A guest holds all that it reads from two drives of a serve against what it wrote, trims and zeroes among it, while they are
# mirrored, aborted in the midst, mirrored again, and it is led to the targets and back. VMABAK_ROUNDS=N: so often.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"
need_python nbd

make_random a.raw 2000001 1
truncate -s 4194817 a.raw
make_random b.raw 1048576 2
mkdir there
cp a.raw a.model
cp b.raw b.model
start_serve --map a=a.map --map b=b.map a=a.raw b=b.raw
"$PYTHON" "$CLI/fsx.py" "${VMABAK_SEED:-1}" 1 5 'nbd+unix:///a?socket=n.sock=a.model' 'nbd+unix:///b?socket=n.sock=b.model' \
	>fsx.out 2>fsx.err &
fsx=$!
on_exit "kill -9 $fsx 2>/dev/null"
here=$PWD to=$PWD/there
mirror() { "$VMABAK" mirror "$@"; }
begin() { expect_code 0 mirror start serve:c.sock -d a="$to/a.raw" -d b="$to/b.raw" --state s.json "$@"; }
content() { kill -0 $fsx 2>/dev/null || fail "round $round: $(cat fsx.err)"; }
# Where the machine is busy for long the targets may not get there in time, and that is no fault.
pivot() { mirror pivot serve:c.sock -q 2>"$err" || { grep -q 'guest goes on at its drive\|is not in sync\|not get there in time' "$err" || fail "pivot: $(cat "$err")"; false; }; }
in_sync() { mirror wait serve:c.sock -q 2>"$err" || [ $? = 3 ] || fail "wait: $(cat "$err")"; }
nothing_left() { [ "$(mirror status serve:c.sock --json | grep -c '"left_bytes": 0,')" = 2 ]; }
round=0
while [ $round -lt "${VMABAK_ROUNDS:-2}" ]; do
	round=$((round + 1))
	# The first copy, or one that begins with what changed; aborted wherever it is.
	begin --rate 4M --force
	content
	expect_code 0 mirror abort serve:c.sock
	begin
	in_sync
	expect_code 0 mirror abort serve:c.sock
	content
	begin
	in_sync
	wait_until pivot
	content
	swap=$here here=$to to=$swap
done
begin
in_sync
: >enough
ended_with 0 $fsx
wait_until nothing_left
stop_serve
for drive in a b; do
	same_file $drive.model "$here/$drive.raw"
	same_file $drive.model "$to/$drive.raw"
done
cat fsx.out
