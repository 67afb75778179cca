# A monitor on TCP, named as QEMU names it.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
# More than the buffer: the job does not end before it is seen.
make_random a.raw 40000000 1
truncate -s 40M a.raw
for address in 127.0.0.1 ::1; do
	# A port that is free.
	port=$(free_port $address) 2>"$TMPDIR/no-address" || {
		[ $address != 127.0.0.1 ] || fail "no TCP: $(cat "$TMPDIR/no-address")"
		continue
	}
	start_daemon tcp --chardev "socket,host=$address,port=$port,server=on,wait=off,id=tcp" --monitor chardev=tcp,id=t \
		--blockdev driver=file,filename=a.raw,node-name=a --export type=nbd,id=a,node-name=a,name=a,writable=on
	case $address in *:*) place=tcp:[$address]:$port ;; *) place=tcp:$address:$port ;; esac
	expect_code 0 "$VMABAK" qemu-drives "$place" --json
	expect_json "$out" "[x['name'] for x in d['drives']] == ['a']"
	for pull in '' "--pull --nbd-server"; do
		expect_code 0 "$VMABAK" backup "qemu:$place" $pull ${pull:+"$exports" --scratch "$TMPDIR"} --force -o a.vmab
		expect_code 0 "$VMABAK" restore -q --force a.vmab -d a=out.raw
		same_file a.raw out.raw
		nothing_in_qemu
	done
	# The guard process finds the monitor, too.
	in_background "$VMABAK" backup -q "qemu:$place" --rate 1M --buffer 16M -o no.vmab
	wait_until jobs_run
	kill -9 $pid
	wait_until no_socket
	wait_until eval '! pgrep -f "^vmabak guard .*-- qemu:$place"'
	nothing_in_qemu
	rm -f .*.part
	end_process $daemon
	# Nobody listens there any more.
	expect_error 1 "QMP $place: Connection refused" "$VMABAK" backup "qemu:$place" -o no.vmab
done
