# A backup that is ended while it connects to QEMU does not end QEMU's server in the midst of a
# handshake: QEMU would wait for that for ever, and the guest with it.
# long: is killed at many moments
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_strace
need_libvirt
need pgrep

make_random fs.raw 4194304 1
make_random A.raw 4194304 2
make_random B.raw 4194304 3
idle_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"

for signal in INT KILL; do
	in_background strace -f -qq -o /dev/null -e trace=connect -e inject=connect:delay_exit=400000 \
		as_user $vmabak backup libvirt:web -q -o a.vmab
	wait_until backup_runs
	sleep 0.3
	kill -$signal "$(pgrep -o -f "^$vmabak backup libvirt:web")"
	wait $pid && fail "SIG$signal: it ended well"
	wait_until eval '! backup_runs'
	nothing_in_libvirt
	domain_is_well
	rm -f .*.part
	[ -z "$(ls -A | grep -F .vma)" ] || fail "left after SIG$signal: $(ls -A)"
done
expect_code 0 as_user $vmabak backup libvirt:web -q -o a.vmab
