# A machine moves from one QEMU to another: what changed since the last backup follows it, and the next increment takes it.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/moves.sh"

need qemu-system-x86_64 qemu-img
make_random a.raw 20971520 1
qemu-img convert -O qcow2 a.raw b.qcow2
image=a.raw

start_machine from
backup 0 from s1 0.vmab
write_in from 1 5M
start_machine to -incoming "unix:$TMPDIR/link"
ask from cont >said
wait_until has_read
# QEMU 10 says of one that waits, too, that it is being migrated.
code=0
"$VMABAK" checkpoint migrate "qemu:$TMPDIR/from.qmp" "qemu:$TMPDIR/to.qmp" --state s1 --to-state s2 2>"$err" || code=$?
case $code in
2) expect_text "$err" 'does not record its changes yet' ;;
7) expect_text "$err" 'is being migrated' ;;
*) fail "exit code $code: $(cat "$err")" ;;
esac
ask from migrate "{\"uri\": \"unix:$TMPDIR/link\"}" >said
wait_until moved
# It is paused there until its writes are recorded.
expect_code 0 "$VMABAK" checkpoint create start "qemu:$TMPDIR/to.qmp" --state s2
ask to cont >said
wait_until goes_on
write_in to 2 6M
backup 3 to s2 lost.vmab --parent 0.vmab
migrate 0
increment s2 1 3
write_in to 3 7M
increment s2 2 2
# The file of a map lacks what QEMU has recorded.
expect_error 2 'QEMU has recorded more' "$VMABAK" checkpoint export start -o none s2/A.map
# By way of a file, to a QEMU that was started later: the writes in between are missing, and it is not taken.
expect_code 0 "$VMABAK" checkpoint export -o all.ckpt "qemu:$TMPDIR/from.qmp" --state s1
ask from quit >said
wait_until sh -c '! kill -0 '"$(cat "$TMPDIR/from.pid")"' 2>/dev/null'
kill -9 "$(cat "$TMPDIR/to.pid")"
wait_until sh -c '! kill -0 '"$(cat "$TMPDIR/to.pid")"' 2>/dev/null'
start_machine to
expect_code 0 "$VMABAK" checkpoint create late "qemu:$TMPDIR/to.qmp" --state s3
write_in to 4 8M
expect_error 1 'stays incomplete' "$VMABAK" checkpoint import all.ckpt "qemu:$TMPDIR/to.qmp" --state s3

# The bitmaps of a qcow2 go with the image, and the new QEMU goes on with them: there is nothing to move. The old one is not
# asked what it does not have any more, and what its map has stays.
kill -9 "$(cat "$TMPDIR/to.pid")"
image=b.qcow2
start_machine from
backup 0 from s5 3.vmab
write_in from 5 5M
start_machine to -incoming "unix:$TMPDIR/link"
ask from migrate "{\"uri\": \"unix:$TMPDIR/link\"}" >said
wait_until moved
wait_until has_come
ask to cont >said
wait_until goes_on
write_in to 6 6M
expect_error 7 'has moved' "$VMABAK" checkpoint list "qemu:$TMPDIR/from.qmp" --state s5
increment s5 4 3
