# A chain with --track of a machine that writes all the while, in dependent order on two drives: full, increments, failed
# ones, retried ones, from the last archive and from an older one, pushed and pulled; each archive is of one instant.
# long: twelve backups of a machine that writes
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"
. "$CLI/track.sh"

need_images
need_live_tools
two_drives
cp a.raw A.initial
qemu-img convert -U -f qcow2 -O raw b.qcow2 B.initial
start_writers --chains 4 --align 512 --longest 65536 --rate 300
start_judge
track 0 -q -o 0.vmab
last=0 i=0
while [ $i -lt "${VMABAK_LIVE:-8}" ]; do
	i=$((i + 1))
	how= parent=$last
	[ $((i % 3)) != 0 ] || how=$pulled
	[ $((i % 4)) != 0 ] || parent=0
	case $((i % 5)) in
	2) "$VMABAK" backup -q "qemu:$qmp" --track --state state -o - --parent $parent.vmab 2>"$err" | head -c 5000 >cut ;;
	4) in_background "$VMABAK" backup -q "qemu:$qmp" --track --state state -o killed.vmab --parent $parent.vmab --rate 10K
		wait_until has_part . 1
		kill -9 "$pid"
		wait "$pid" 2>/dev/null || true
		wait_until no_guard ;;
	esac
	track 0 -o $i.vmab --parent $parent.vmab --json $how
	expect_json "$out" "all(d['proof']['list'] == 'right' for d in d['drives'])"
	expect_code 0 "$VMABAK" restore -q $i.vmab -C out$i
	ask_judge "out$i/A.raw" "out$i/B.raw"
	rm -r "out$i"
	last=$i
done
# Merged, it shows the instant that the chain shows.
expect_code 0 "$VMABAK" merge -q $last.vmab -o merged.vmab
expect_code 0 "$VMABAK" restore -q $last.vmab -C chain
expect_code 0 "$VMABAK" restore -q merged.vmab -C merged
same_file chain/A.raw merged/A.raw
same_file chain/B.raw merged/B.raw
exec 3>&-
wait $judge || fail "the judge: $(cat answers)"
stop_writers
nothing_in_qemu
