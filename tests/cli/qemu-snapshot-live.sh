# Snapshots of a machine that writes all the while, in dependent order on two drives, copied by another program while it goes
# on: each is of one instant, and all that differs from the one before lies in the bitmap that it exports.
# long: several copies of a machine that writes
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$CLI/track.sh"
. "$CLI/snapshot.sh"

need_images
need nbdcopy
need_live_tools
two_drives
cp a.raw A.initial
qemu-img convert -U -f qcow2 -O raw b.qcow2 B.initial
start_writers --chains 4 --align 512 --longest 65536 --rate 300
# copy N [OPTION]...
copy()
{
	lib_n=$1
	shift
	snapshot_of "$VMABAK" snapshot "qemu:$qmp" --nbd-server "$exports" --scratch "$PWD/scratch" "$@"
	for drive in A B; do
		expect_code 0 nbdcopy "$(uri $drive)" $drive.$lib_n
		[ $# = 0 ] || nbdinfo --json --map="qemu:dirty-bitmap:$2" "$(uri $drive)" >$drive.map
	done
	kill $snapshot
	ended_with 0 $snapshot
	judge A.$lib_n B.$lib_n || fail "snapshot $lib_n: $(cat judgement)"
}

expect_code 0 "$VMABAK" checkpoint create c0 "qemu:$qmp" --state state
copy 0
for n in 1 2 3; do
	expect_code 0 "$VMABAK" checkpoint create c$n "qemu:$qmp" --state state
	copy $n --since c$((n - 1)) --state state
	"$PYTHON" -S -c 'import json, sys
for drive in "AB":
    old, new = (open(f"{drive}.{n}", "rb").read() for n in sys.argv[1:])
    dirty = {at for e in json.load(open(f"{drive}.map")) if e["type"] & 1
             for at in range(e["offset"], e["offset"] + e["length"], 65536)}
    differs = {at for at in range(0, len(new), 65536) if old[at:at + 65536] != new[at:at + 65536]}
    if not differs <= dirty:
        sys.exit(f"{drive}: differs at {sorted(differs - dirty)[:5]}, and the bitmap does not say so")
    if len(dirty) == (len(new) + 65535) // 65536:
        sys.exit(f"{drive}: the bitmap says all")' $((n - 1)) $n || fail "bitmap $n"
done
stop_writers
nothing_in_qemu
