# Snapshots of a machine that writes all the while are of one instant: VMABAK_LIVE of them (6).
# long: six backups of a machine that writes
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$SRC/tests/live/lib.sh"

judged_drives 500
pull()
{
	"$VMABAK" backup -q "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$TMPDIR" "$@"
}
i=0
while [ $i -lt "${VMABAK_LIVE:-6}" ]; do
	i=$((i + 1))
	case $((i % 3)) in
	0) pull -o - | "$VMABAK" restore -q - -C "out$i" || fail "to a pipe" ;;
	1) expect_code 0 pull --compress none -o a.vma ;;
	2) expect_code 0 pull --rate 30M --compress none -o a.vmab ;;
	esac
	[ $((i % 3)) = 0 ] || expect_code 0 "$VMABAK" restore -q a.vma* -C "out$i"
	rm -f a.vma*
	ask_judge "out$i/A.raw" "out$i/B.raw"
	rm -r "out$i"
done
exec 3>&-
wait $judge || fail "the judge: $(cat answers)"
stop_writers
nothing_in_qemu
