# The host of a QEMU's target loses power: what it had not flushed is lost, though it was answered. A mirror that begins again
# copies that, too. And the process that copies is killed while the target flushes: what the state says is there.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"

need_images
need nbdkit pgrep
nbdkit --dump-plugin sh >/dev/null 2>&1 || skip "nbdkit takes no scripts here"
make_random a.raw 1000000 1
truncate -s 2M a.raw
qemu-img create -q -f qcow2 b.qcow2 1M
start_drives_at "$PWD"
uri=$(nbd_uri far.nbd)

# A disk with a cache: a flush takes what it holds to disk.raw. With a number in the file "hold" only so many flushes end.
cat >plugin <<END
#!/bin/sh
cd '$PWD'
case \$1 in
get_size) stat -c %s cache.raw ;;
can_write | can_flush | can_multi_conn) ;;
pread) dd if=cache.raw iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none ;;
pwrite) dd of=cache.raw oflag=seek_bytes seek=\$4 conv=notrunc bs=1M iflag=fullblock status=none ;;
flush)
	if [ -e hold ]; then
		n=\$(cat hold)
		[ \$n -gt 0 ] || : >held
		while [ -e hold ] && [ \$n = 0 ]; do sleep 0.05; done
		[ \$n = 0 ] || echo \$((n - 1)) >hold
	fi
	cp cache.raw disk.raw.new && mv disk.raw.new disk.raw
	;;
*) exit 2 ;;
esac
END
chmod 755 plugin
make_full disk.raw 2097152
start_far()
{
	cp disk.raw cache.raw
	rm -f "$TMPDIR/far.nbd"*
	serve_nbdkit far.nbd sh "$PWD/plugin"
}
generation() { grep -o '"generation":[0-9]*' s.json; }
# The state says that all is there, and of what is recorded something was dropped.
cut() { ! grep -q '"n_clusters":0' s.json && [ "$(generation)" != "$1" ]; }
keeper() { pgrep -f "^vmabak mirror keep qemu:$qmp"; }
again()
{
	expect_code 0 mirror_start -d "A=$uri" --state s.json --json
	expect_json "$out" "d['drives'][0]['known']" "d['drives'][0]['left_bytes'] <= $1 * 65536"
}
same_far()
{
	in_sync
	same_drives cache.raw
}

start_far
expect_code 0 mirror_start -d "A=$uri" --state s.json --force
write_A 5 1M 100K
wait_until cut '"generation":1'
write_A 6 1500K 4K
same_far
# Lost with what it held, and what the guest writes meanwhile.
kill -9 $server
wait_until gone $server
write_A 7 400K 4K
wait_until state_is '"state": "failed"'
start_far
again 4
same_far
expect_code 0 mirror abort

# Killed while the target flushes for the first time, and then once more.
before=$(generation)
echo 1 >hold # the one with which QEMU's job begins
again 1
write_A 8 800K 4K
wait_until [ -e held ]
pid=$(keeper)
kill -9 $pid
wait_until gone $pid
[ "$(generation)" = "$before" ] || fail "the state says what is not flushed"
rm hold
again 2
same_far
expect_code 0 mirror abort
nothing_of_mirrors
