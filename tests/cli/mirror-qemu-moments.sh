# The guest of a mirrored QEMU writes just when it matters: before the job begins, and before a new bitmap records; and one of two
# targets is not there when the guest is led to both.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need pgrep
make_random a.raw 4194304 1
qemu-img create -q -f qcow2 b.qcow2 2M
start_drives_at "$PWD"
hook() # PATTERN COMMAND...
{
	lib_pattern=$1
	shift
	hooked=$qmp.$((n_hooks = ${n_hooks:-0} + 1))
	"$PYTHON" -S "$CLI/qmp_hook.py" "$hooked" "$qmp" "$lib_pattern" "$*" &
	on_exit "kill $! 2>/dev/null"
	wait_until [ -S "$hooked" ]
}
direct=$qmp
writes='qemu-io -f raw -c "write -q -P'

# What the job does not know of is not left to it, also where it is copied late.
hook '"blockdev-mirror"' "$writes 9 3500K 4K\" '$uri_A'"
qmp=$hooked
expect_code 0 mirror_start -d A=t.raw --rate 1M
batch_has_ended() { ! state_is '"left_bytes": 4194304,'; }
wait_until some_copied
wait_until batch_has_ended
expect_code 0 mirror set --rate 0
in_sync
same_drives t.raw
expect_code 0 mirror abort
qmp=$direct
nothing_of_mirrors

# What was written before a new generation records, and is on its way, is not counted as flushed; nor does QEMU wait for it, with all
# that it does.
far_disk 2097152
hook '"block-dirty-bitmap-add".*"vmabak-keep-[0-9a-f]*-2"' "[ -e hooked ] || { : >hold-write; : >hooked; $writes 8 1M 4K\" '$uri_B'; sleep 0.5; }"
qmp=$hooked
expect_code 0 mirror_start -d "B=$far" --state s.json --force
wait_until [ -e hooked ]
wait_until sh -c '! grep -q "\"n_clusters\":0" s.json'
far_disk_loses_power write_B 7 1500K 4K
start_far_disk
expect_code 0 mirror_start -d "B=$far" --state s.json --json
expect_json "$out" "d['drives'][0]['known']"
in_sync
wait_until is_what_is_at cache.raw "$uri_B"
expect_code 0 mirror abort
qmp=$direct
nothing_of_mirrors

# No drive goes to its target alone, nor waits for one that was late before.
rm -f s.json
expect_code 0 mirror_start -d A=t.raw -d "B=$far" --force
in_sync
: >hold-write
write_B 6 1M 4K
expect_error 1 'does not answer' mirror pivot
write_A 5 1M 4K
is_at_its_drives()
{
	for drive in a.raw b.qcow2; do
		qemu-img convert -U -O raw -f "${drive#*.}" $drive now.raw
		qemu-io -f raw -r -U -c "read -q -P $1 1M 4K" now.raw || fail "the guest is not at $drive"
	done
}
write_B 5 1M 4K
is_at_its_drives 5
rm hold-write
wait_until state_is '"state": "failed"'
expect_code 0 mirror abort
nothing_of_mirrors

# Nor when it is late in the pivot itself. Newer QEMUs have the guest wait then until it answers.
case $(qemu-img --version) in
*'version 7.'*)
	hook '"job-complete"' "[ -e late ] || { : >hold-write; : >late; $writes 6 1M 4K\" '$uri_B'; }"
	qmp=$hooked
	expect_code 0 mirror_start -d A=t.raw -d "B=$far" --force
	in_sync
	expect_code 1 mirror pivot
	expect_text "$err" 'would have had to wait'
	rm hold-write
	write_A 7 1M 4K
	write_B 7 1M 4K
	is_at_its_drives 7
	# Of what could not be ended while the target gave no answer.
	expect_code 0 mirror abort
	qmp=$direct
	nothing_of_mirrors
	;;
*)
	# QEMU's monitor waits with it, so that this test would wait for the pivot, and the target for this test.
	echo 'not tried: a pivot in which a target is late, for which QEMUs newer than 7 wait, with their monitor'
	;;
esac

# Killed while it copies, when QEMU has exports for it.
rm -f t.raw
expect_code 0 mirror_start -d A=t.raw --rate 256K
expect_code 0 ask_qmp query-block-exports
expect_text "$out" vmabak-mirror-
keeper=$(pgrep -f "^vmabak mirror keep qemu:$qmp")
kill -9 $keeper
wait_until gone $keeper
expect_code 0 mirror abort
nothing_of_mirrors
