# --track of a machine with devices: one in an iothread, one behind a throttle filter, an overlay, a tiny one and an odd one;
# its maps in the folder of chains; options and runs that exclude each other; another chain from the same maps that was not
# made for long; drives under other names, and only some of them.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need qemu-system-x86_64
make_random plain.raw 1048576 2
make_random slow.raw 1048576 3
make_random odd.raw 1000001 4
make_random tiny.raw 512 5
qemu-img create -q -f qcow2 base.qcow2 4M
qemu-io -f qcow2 -c 'write -q -P 5 0 2M' base.qcow2
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 4M
qmp=$TMPDIR/vm.qmp asking=$TMPDIR/vm.ask
qemu-system-x86_64 -S -display none -nodefaults -machine accel=tcg -m 64 -pidfile "$TMPDIR/pid" -daemonize -name web \
	-qmp "unix:$qmp,server=on,wait=off" -qmp "unix:$asking,server=on,wait=off" \
	-object throttle-group,id=limits -object iothread,id=io -device virtio-scsi-pci \
	-blockdev driver=raw,node-name=plain,file.driver=file,file.filename=plain.raw -device virtio-blk,drive=plain,id=plain,iothread=io \
	-blockdev driver=throttle,node-name=slow,throttle-group=limits,file.driver=raw,file.file.driver=file,file.file.filename=slow.raw \
	-device scsi-hd,drive=slow,id=slow \
	-blockdev driver=qcow2,node-name=top,file.driver=file,file.filename=top.qcow2 -device scsi-hd,drive=top,id=top \
	-blockdev driver=raw,node-name=odd,file.driver=file,file.filename="$PWD/odd.raw" -device scsi-hd,drive=odd,id=odd \
	-blockdev driver=raw,node-name=tiny,file.driver=file,file.filename="$PWD/tiny.raw" -device scsi-hd,drive=tiny,id=tiny \
	2>"$TMPDIR/qemu.err" || fail "QEMU: $(cat "$TMPDIR/qemu.err")"
machine=$(cat "$TMPDIR/pid")
on_exit "kill -9 $machine 2>/dev/null"

# io DEVICE COMMAND: as by the guest.
io()
{
	lib_device=$1
	[ "$1" != plain ] || lib_device=/machine/peripheral/plain/virtio-backend
	ask_qmp human-monitor-command "{\"command-line\": \"qemu-io -d $lib_device \\\"$2\\\"\"}" >"$TMPDIR/io"
	! grep -qi 'fail\|error\|conflict' "$TMPDIR/io" || fail "$(cat "$TMPDIR/io")"
}

# all CODE ARGUMENT...: $archive is the one that it made.
all()
{
	lib_wanted_code=$1
	shift
	expect_code "$lib_wanted_code" "$VMABAK" backup "qemu:$qmp" --track --json "$@"
	archive=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1])).get("archive"))' "$out")
}

listed()
{
	expect_json "$out" "{d['name']: d['proof']['listed_clusters'] for d in d['drives']} == dict($1)" "d['n_tracked'] == len(dict($1))"
}

is_all()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" --parents d -C back
	same_file back/plain.raw plain.raw
	same_file back/slow.raw slow.raw
	cmp -n 1000001 back/odd.raw odd.raw || fail "odd differs"
	same_file back/tiny.raw tiny.raw
	io top flush
	qemu-img compare -q -U -f raw -F qcow2 back/top.raw top.qcow2 || fail "top differs"
}

mkdir d scratch
all 0 --to d --name vm
[ "$(ls -A d/.vmabak/vm | tr '\n' ' ')" = 'lock odd.map plain.map slow.map tiny.map top.map ' ] || fail "$(ls -A d/.vmabak/vm)"
first=$archive
io plain 'write -P 1 0 1k'
io slow 'write -P 2 100k 64k'
io top 'write -P 3 1M 128k'
io odd 'write -P 4 70k 512'
io tiny 'write -P 5 0 512'
all 0 --to d --name vm
listed 'odd=2,plain=2,slow=3,tiny=1,top=3'
is_all "$archive"
io top 'write -z -u 1M 64k'
io plain 'write -z 64k 64k'
all 0 --to d --name vm --pull --scratch "$PWD/scratch"
listed 'odd=1,plain=2,slow=1,tiny=1,top=2'
is_all "$archive"
io plain 'write -z 128k 64k'
# The same content again is not stored.
io slow 'write -P 2 100k 64k'
all 0 --to d --name vm
listed 'odd=1,plain=2,slow=3,tiny=1,top=1'
expect_json "$out" "d['data_clusters'] + d['zero_clusters'] <= 1"
is_all "$archive"

# Another chain, long after, with another name for a drive, and without one.
all 0 -o w.vmab --parent "$first" --state d/.vmabak/vm
listed 'odd=2,plain=4,slow=3,tiny=1,top=3'
is_all w.vmab
all 0 -o some.vmab -d web=slow -d top --state d/.vmabak/vm
io slow 'write -P 6 300k 4k'
all 0 -o some2.vmab -d web=slow -d top --state d/.vmabak/vm --parent some.vmab
listed 'web=2,top=1'
all 0 --to d --name vm
listed 'odd=1,plain=1,slow=2,tiny=1,top=1'
is_all "$archive"

# Who uses the maps already.
exec 9>d/.vmabak/vm/lock
flock 9
expect_error 7 'd/.vmabak/vm: is in use by another run' "$VMABAK" backup -q "qemu:$qmp" --track --state d/.vmabak/vm -o no.vmab
exec 9>&-
expect_error 2 '--state needs --track' "$VMABAK" backup -q "qemu:$qmp" --state s -o no.vmab
expect_error 2 'VMA has no increments' "$VMABAK" backup -q "qemu:$qmp" --track --state d/.vmabak/vm -o no.vma
expect_error 2 '--state is for' "$VMABAK" backup -q --state s --track -o no.vmab plain.raw
: >d/.vmabak/vm/plain.map
echo 'what a user keeps there' >d/.vmabak/vm/slow.map
expect_error 2 'd/.vmabak/vm/slow.map: is not a map, and is not overwritten' \
	"$VMABAK" backup -q "qemu:$qmp" --track --state d/.vmabak/vm -o no.vmab
rm d/.vmabak/vm/slow.map
all 3 --to d --name vm
expect_text "$err" 'drive plain: all of it is compared' 'drive slow: all of it is compared'
is_all "$archive"
nothing_in_qemu
