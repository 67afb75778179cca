# prune --merge on a full disk: it ends with 6, and nothing is lost. Every archive that is kept restores, and the next run does
# the rest once there is room.
. "$(dirname "$0")/lib.sh"

export TZ=UTC
mkdir states full
# Four days, of which the first is large; then as much room, in KiB, as the lines say, and the exit code.
cat >"$TMPDIR/days" <<'END2'
set -eu
# kept: the last two days restore, and the list has only what is whole.
kept()
{
	for day in 03 04; do
		"$VMABAK" restore -q --force full/d/web-2026-01-${day}T120000Z.vmab -C back || exit 1
		cmp back/root.raw states/$day || exit 1
	done
	"$VMABAK" list full/d >/dev/null || exit 1
	[ -z "$(ls -A full/d | grep '^\.' || true)" ] || { ls -A full/d; exit 1; }
}
while read -r room_kib wanted; do
	mount -t tmpfs -o size=12m tmpfs full || exit 77
	mkdir full/d
	"$PYTHON" -S -c 'import os; open("web.raw", "wb").write(os.urandom(1500000))'
	for day in 01 02 03 04; do
		echo "day $day" | dd of=web.raw bs=1 seek=${day}00000 conv=notrunc status=none
		SOURCE_DATE_EPOCH=$(date -u -d "2026-01-$day 12:00" +%s) \
			"$VMABAK" backup -q --compress none --to full/d --name web --full-every 0 root=web.raw
		cp web.raw states/$day
	done
	left=$(df -k --output=avail full | tail -n 1)
	dd if=/dev/zero of=full/fill bs=1024 count=$((left - room_kib)) status=none
	code=0
	"$VMABAK" prune -q full/d --keep-last 2 --merge 2>said || code=$?
	[ $code = $wanted ] || { cat said; echo "room of $room_kib KiB: code $code"; exit 1; }
	if [ $code != 0 ]; then # what is told is what was done
		"$VMABAK" prune -v full/d --keep-last 2 --merge >listed 2>/dev/null || :
		[ "$(grep -c '^keep .*(not removed)' listed)" = 2 ] && ! grep -q '^merge' listed || { cat listed; exit 1; }
	fi
	[ $code = 0 ] || { [ "$(grep -c "No space left on device" said)" = 1 ] && [ "$(wc -l <said)" = 1 ] || { cat said; exit 1; }; }
	kept
	rm full/fill
	"$VMABAK" prune -q full/d --keep-last 2 --merge
	kept
	[ "$(ls full/d/*.vmab | wc -l)" = 2 ]
	rm -rf back
	umount full
	echo "tried with $room_kib"
done
END2
expect_code 0 in_private_mounts sh "$TMPDIR/days" <<'END2'
0 6
300 6
1450 6
1600 0
END2
[ "$(grep -c tried "$out")" = 4 ] || fail "$(cat "$out")"
