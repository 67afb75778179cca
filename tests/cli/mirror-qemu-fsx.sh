# A guest holds all that it reads from two drives of a QEMU against what it wrote, trims and zeroes among it, while they are
# mirrored, aborted in the midst, mirrored again, and it is led to the targets and back. VMABAK_ROUNDS=N: so often.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need_python nbd
make_random a.raw 2000384 1
truncate -s 4194816 a.raw
make_random b.model 1048576 2
cp a.raw a.model
qemu-img convert -f raw -O qcow2 b.model b.qcow2
mkdir here there
mv a.raw b.qcow2 here
start_drives_at "$PWD/here"
"$PYTHON" "$CLI/fsx.py" "${VMABAK_SEED:-1}" 512 5 "$uri_A=a.model" "$uri_B=b.model" >fsx.out 2>fsx.err &
fsx=$!
on_exit "kill -9 $fsx 2>/dev/null"
A=A B=B to=$PWD/there other=$PWD/here
begin() { expect_code 0 mirror_start -d $A="$to/a.raw" -d $B="$to/b.raw" --state s.json "$@"; }
content() { kill -0 $fsx 2>/dev/null || fail "round $round: $(cat fsx.err)"; }
# Where the machine is busy for long the targets may not get there in time, and that is no fault.
pivoted()
{
	expect_code 0 mirror wait
	mirror pivot -q 2>"$err" && return
	grep -q 'guest would have had to wait\|is not in sync\|not get there' "$err" || fail "pivot: $(cat "$err")"
	begin
	false
}
round=0
while [ $round -lt "${VMABAK_ROUNDS:-2}" ]; do
	round=$((round + 1))
	# The first copy, or one that begins with what changed; aborted wherever it is.
	begin --rate 4M --force
	content
	expect_code 0 mirror abort
	begin
	expect_code 0 mirror wait
	expect_code 0 mirror abort
	content
	begin
	wait_until pivoted
	content
	swap=$to to=$other other=$swap
	# A drive of a daemon is called as its node.
	A=$(ask_qmp query-block-exports | grep -o 'vmabak-mirror-[0-9a-f]*-0' | head -n 1)
	B=${A%0}1
done
begin
expect_code 0 mirror wait
: >enough
ended_with 0 $fsx
wait_until nothing_left
expect_code 0 mirror abort
same_file a.model "$to/a.raw"
same_file b.model "$to/b.raw"
same_drives "$to/a.raw" "$to/b.raw"
nothing_of_mirrors
cat fsx.out
