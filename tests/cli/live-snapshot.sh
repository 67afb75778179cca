# Snapshots of a serve that dependent writers go at: what NBD clients read of each, at their ease, is of one instant.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
. "$CLI/snapshot.sh"
need_live_tools
need nbdcopy

make_drives 12586496 6295040
start_judge
start_serve A=A.raw B=B.raw
start_writers --chains 4 --connections 2 --rate 400
for i in 1 2 3; do
	snapshot_of "$VMABAK" snapshot -q serve:control
	for drive in A B; do
		expect_code 0 nbdcopy "$(uri $drive)" $drive.out
	done
	kill $snapshot
	ended_with 0 $snapshot
	ask_judge A.out B.out
done
stop_writers
stop_serve
