# Dependent writers go at two drives of a QEMU while mirrors of them are started, aborted, started again and pivoted, by raw
# files and NBD exports: each copy is of one instant, the old drives are those of the instant of the pivot, and the guest
# sees no error.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$SRC/tests/live/lib.sh"

need_images
need_live_tools
make_drives 8388608 4194304
cp A.raw a.raw
qemu-img convert -f raw -O qcow2 B.raw b.qcow2
start_drives_at "$PWD"
start_writers --chains 2 --align 512 --longest 65536 --rate 400
start_judge
begin() { mirror_start -d A=ta.raw -d B=tb.raw --state s.json -q "$@"; }

i=0 judged=0
while [ $i -lt "${VMABAK_LIVE:-4}" ]; do
	i=$((i + 1))
	expect_code 0 begin
	# One is aborted in the midst of its copy, and is no instant then.
	if [ $((i % 4)) = 2 ]; then
		expect_code 0 mirror abort
		continue
	fi
	expect_code 0 mirror wait
	expect_code 0 mirror abort --json
	# Where the machine is busy the targets may not get there soon enough.
	grep -q '"one_instant": true' "$out" || continue
	ask_judge ta.raw tb.raw
	judged=$((judged + 1))
done
expect_code 0 begin
expect_code 0 mirror wait
expect_code 0 mirror pivot -q
qemu-img convert -f qcow2 -O raw b.qcow2 old.B
ask_judge a.raw old.B
exec 3>&-
stop_writers
# Where the guest is now is what it wrote to its end, and what it sees.
same_drives ta.raw tb.raw
judge ta.raw tb.raw || fail "$(cat judgement)"
wait $judge || fail "the judge: $(cat answers)"
nothing_of_mirrors
