# A target gives no answer while the guest is to be led to it: the monitor stays free, others get their answers, and a pivot that
# was given up is not made later. An abort ends the mirror, also where its state cannot be written.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

mirrored_drives
truncate -s 17M t.raw
uri=$(nbd_uri far.nbd t)
at_its_drive()
{
	write_A "$1" 9M 4K
	qemu-io -f raw -r -U -c "read -q -P $1 9M 4K" a.raw
}
stall()
{
	expect_code 0 mirror_start -d "A=$uri" --force
	in_sync
	kill -STOP $far
	write_A 5 2M 100K
	"$VMABAK" mirror pivot "qemu:$qmp" 2>pivot.err &
	pivot=$!
	wait_until state_is '"phase": "running"'
}

# Somebody aborts it.
start_far
stall
[ -n "$(ask_qmp query-version)" ] || fail "the monitor is not free"
expect_error 1 'gives no answer' mirror abort
ended_with 1 $pivot
expect_text pivot.err 'the pivot is withdrawn, and the guest stays at its drives'
kill -CONT $far
wait_until state_is '"state": "failed"'
at_its_drive 6
expect_code 0 mirror abort
nothing_of_mirrors

# Nobody waits for it any more.
stall
kill -9 $pivot
wait $pivot 2>/dev/null || :
for i in 1 2; do
	expect_code 0 mirror status
done
kill -CONT $far
in_sync
at_its_drive 7
expect_code 0 mirror abort
at_its_drive 8

# What its targets have cannot be written: it ends all the same.
mkdir kept
for rate in 300K 0; do
	expect_code 0 mirror_start -d A=new.raw --state kept/s.json --force --rate $rate
	[ $rate != 0 ] || in_sync
	mv kept gone
	expect_error 1 'the mirror has ended, but' mirror abort
	nothing_of_mirrors
	mv gone kept
done

# A rate that is as low as it can be keeps nobody waiting.
expect_code 0 mirror_start -d A=slow.raw --rate 1
wait_until state_is '"copied_bytes": [1-9]'
expect_code 0 mirror set --rate 100M
in_sync
expect_code 0 mirror abort
