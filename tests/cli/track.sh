# A QEMU whose changes are tracked, with the drives of two_drives. For tests that have peers.sh already.

pulled=--pull
mkdir -p scratch

# small_drives: raw A of 16 MiB and qcow2 B of 32 MiB, as those of two_drives.
small_drives()
{
	make_random a.raw 3000000 1
	truncate -s 16M a.raw
	qemu-img create -q -f qcow2 b.qcow2 32M
	qemu-io -f qcow2 -c 'write -q -P 7 1M 1M' -c 'write -q -P 8 30M 2M' b.qcow2
	start_drives
}

# track CODE ARGUMENT...: a backup of the daemon.
track()
{
	lib_wanted_code=$1
	shift
	case " $* " in
	*' --pull '*) set -- --nbd-server "$exports" --scratch "$PWD/scratch" "$@" ;;
	esac
	expect_code "$lib_wanted_code" "$VMABAK" backup "qemu:$qmp" --track --state "${state:-state}" "$@"
}

# write_A PATTERN OFFSET LENGTH: by the guest.
write_A()
{
	qemu-io -f raw -c "write -q -P $1 $2 $3" "$uri_A" || fail "writing to A"
}

write_B()
{
	qemu-io -f raw -c "write -q -P $1 $2 $3" "$uri_B" || fail "writing to B"
}

# is_increment ARCHIVE A=N B=M: the JSON in $out is that of an increment for which QEMU named as many clusters of each.
is_increment()
{
	lib_archive=$1
	shift
	for lib_pair; do
		expect_json "$out" "[d['proof']['listed_clusters'] for d in d['drives']
			if d['name'] == '${lib_pair%=*}'] == [${lib_pair#*=}]"
	done
}

# is_live ARCHIVE: it holds what the drives hold now.
is_live()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	qemu-img convert -U -f raw -O raw a.raw now.A
	qemu-img convert -f raw -O raw "$uri_B" now.B
	same_file back/A.raw now.A
	same_file back/B.raw now.B
	rm -r back now.A now.B
}

# bitmaps_are NODE GENERATION...: each node has the bitmap of that generation, and the one of the end; no other one of ours.
bitmaps_are()
{
	ask_qmp query-named-block-nodes '{"flat": true}' >"$TMPDIR/nodes"
	"$PYTHON" -S -c 'import json, sys
nodes = json.load(open(sys.argv[1]))
for node, generation in zip(sys.argv[2::2], sys.argv[3::2]):
    [one] = [n for n in nodes if n["node-name"] == node]
    names = sorted(b["name"][7:] for b in one.get("dirty-bitmaps", []) if b["name"].startswith("vmabak-"))
    if [name.split("-")[1] for name in names] != [generation, "end"] or len({name[:16] for name in names}) != 1:
        sys.exit(f"{node}: {names}, not {generation}")' "$TMPDIR/nodes" "$@" || fail "bitmaps: $*"
}
