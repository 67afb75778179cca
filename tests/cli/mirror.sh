# Mirrors of the drives of a qemu-storage-daemon. For tests that have lib.sh already.
. "$CLI/peers.sh"
. "$CLI/track.sh"

# start_drives_at FOLDER: as start_drives, named by whole paths, so that they can be targets later.
start_drives_at()
{
	start_daemon two --blockdev "driver=file,filename=$1/a.raw,node-name=file,discard=unmap" \
		--blockdev driver=raw,file=file,node-name=A,discard=unmap \
		--blockdev "driver=qcow2,file.driver=file,file.filename=$1/b.qcow2,node-name=B" \
		--export type=nbd,id=a,node-name=A,name=A,writable=on \
		--export type=nbd,id=b,node-name=B,name=B,writable=on
	uri_A=$(export_uri A) uri_B=$(export_uri B)
}

# mirrored_drives: raw A of 16 MiB and qcow2 B of 32 MiB, both mostly holes, of a daemon, named by whole paths.
mirrored_drives()
{
	need_images
	make_random a.raw 3000000 1
	truncate -s 16M a.raw
	qemu-img create -q -f qcow2 b.qcow2 32M
	qemu-io -f qcow2 -c 'write -q -P 7 1M 1M' -c 'write -q -P 8 30M 2M' b.qcow2
	start_drives_at "$PWD"
}

# mirror VERB [OPTION]...
mirror()
{
	lib_verb=$1
	shift
	"$VMABAK" mirror "$lib_verb" "qemu:$qmp" "$@"
}

mirror_start()
{
	mirror start --nbd-server "$exports" "$@"
}

# Of what the guest has written just now a part may not have been counted yet.
in_sync()
{
	expect_code 0 mirror wait
	wait_until nothing_left
}

nothing_left()
{
	mirror status --json >"$TMPDIR/status" || return 1
	! grep '"left_bytes"' "$TMPDIR/status" | grep -qv '"left_bytes": 0,'
}

some_copied()
{
	mirror status --json | grep -q '"copied_bytes": [1-9]'
}

state_is()
{
	mirror status --json >"$TMPDIR/status" && grep -q "$1" "$TMPDIR/status"
}

# same_drives TARGET-OF-A [TARGET-OF-B]: they are what the guest sees, or will be.
same_drives()
{
	wait_until is_what_is_at "$1" "$uri_A"
	[ $# = 1 ] || wait_until is_what_is_at "$2" "$uri_B"
}

is_what_is_at()
{
	qemu-img convert -f raw -O raw "$2" "$TMPDIR/now" && cmp -s "$1" "$TMPDIR/now"
}

# No job, export or bitmap of a mirror but those that record for a restart, no node that nobody uses, no process, no socket.
nothing_of_mirrors()
{
	wait_until no_keeper
	for lib_command in query-jobs query-named-block-nodes query-block-exports; do
		ask_qmp $lib_command >"$TMPDIR/answer"
		! grep -qE '"(id|name)": "vmabak-mirror-' "$TMPDIR/answer" || fail "left in QEMU: $(head -c 3000 "$TMPDIR/answer")"
	done
}

# Of the bitmaps that record for a restart each drive has one. After an abort by the process that mirrors: nobody else knows which.
one_generation()
{
	ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/answer"
	"$PYTHON" -S -c 'import json, sys
for node in json.load(open(sys.argv[1])):
    names = [b.get("name", "") for b in node.get("dirty-bitmaps", [])]
    if sum(name.startswith("vmabak-keep-") for name in names) > 1:
        sys.exit("%s has %s" % (node["node-name"], names))' "$TMPDIR/answer" || fail "left in QEMU"
}

no_keeper()
{
	[ -z "$(ls -d "$TMPDIR"/vmabak-*/control "$TMPDIR"/vmabak-*/nbd 2>/dev/null)" ]
}

# far_disk BYTES: another host's disk with a cache, at $far; cache.raw is what it answers, disk.raw what it has flushed. A number in
# the file "hold-flush" is how many flushes end; with a file "hold-write" no write ends until it goes, and then with an error.
far_disk()
{
	need nbdkit
	nbdkit --dump-plugin sh >/dev/null 2>&1 || skip "nbdkit takes no scripts here"
	make_full disk.raw "$1"
	cat >plugin <<-END
		#!/bin/sh
		cd '$PWD'
		case \$1 in
		get_size) stat -c %s cache.raw ;;
		thread_model) echo parallel ;;
		can_write | can_flush | can_multi_conn) ;;
		pread) dd if=cache.raw iflag=skip_bytes,count_bytes skip=\$4 count=\$3 status=none ;;
		pwrite)
		    if [ -e hold-write ]; then
		        while [ -e hold-write ]; do sleep 0.05; done
		        echo EIO held >&2
		        exit 1
		    fi
		    dd of=cache.raw oflag=seek_bytes seek=\$4 conv=notrunc bs=1M iflag=fullblock status=none
		    ;;
		flush)
		    if [ -e hold-flush ]; then
		        n=\$(cat hold-flush)
		        [ \$n -gt 0 ] || : >held
		        while [ -e hold-flush ] && [ \$n = 0 ]; do sleep 0.05; done
		        [ \$n = 0 ] || echo \$((n - 1)) >hold-flush
		    fi
		    exec 9>lock
		    flock 9
		    cp cache.raw disk.raw.new && mv disk.raw.new disk.raw
		    ;;
		*) exit 2 ;;
		esac
	END
	chmod 755 plugin
	far=$(nbd_uri far.nbd)
	start_far_disk
}

# With what it had flushed.
start_far_disk()
{
	cp disk.raw cache.raw
	rm -f "$TMPDIR/far.nbd"*
	serve_nbdkit far.nbd sh "$PWD/plugin"
}

# far_disk_loses_power COMMAND...: by which the guest writes, and QEMU gets to know.
far_disk_loses_power()
{
	kill -9 $server
	wait_until gone $server
	rm -f hold-write
	"$@"
	wait_until state_is '"state": "failed"'
}

# start_far: a server on another host, as it were, of t.raw; far is its process. It can be lost, and stopped.
start_far()
{
	"$VMABAK" serve -q --control "$TMPDIR/far.sock" --nbd "unix:$TMPDIR/far.nbd" t=t.raw 2>far.err &
	far=$!
	on_exit "kill -9 $far 2>/dev/null"
	wait_until "$VMABAK" status "$TMPDIR/far.sock" >/dev/null 2>&1
}
