# README's week of backups: its commands, in its order, print what it shows, but for numbers. With VMABAK_README=MIB it tells
# what they print of an image of that size, to be pasted there.
. "$(dirname "$0")/lib.sh"
need debugfs

export TZ=UTC
mib=${VMABAK_README:-16}
make_image web.raw "$mib"
mkdir backups
make_random data $((mib * 10000)) 9

# night DAY COMMAND...: the machine has changed, and it is 1:15.
night()
{
	lib_day=$1
	shift
	head -c $((lib_day * lib_day % 10 * mib * 1000)) data >file
	debugfs -w -R "write file day$lib_day" web.raw >/dev/null 2>&1
	SOURCE_DATE_EPOCH=$(date -u -d "2026-11-$lib_day 01:15" +%s) "$@"
}

# In README the week begins with the first --to, and ends with the last command before the next text.
sed -n '/^A week of a machine/,/^With `--full-every 0`/s/^    //p' "$SRC/README.md" >wanted
[ "$(grep -c '^\$ ' wanted)" = 6 ] || fail "README's week is another one"
sed -n 's/^\$ //p' wanted >commands
day=23
while read -r command arguments; do
	[ "$command" = vmabak ] || fail "README: $command $arguments"
	[ "$day" != 24 ] || while [ $day -lt 29 ]; do
		[ $day != 25 ] || cp web.raw "$TMPDIR/tuesday"
		# shellcheck disable=SC2086 # words
		night $day "$VMABAK" $arguments -q
		[ $day != 25 ] || cp web.raw "$TMPDIR/wednesday"
		day=$((day + 1))
	done
	echo "\$ $command $arguments"
	# shellcheck disable=SC2086 # words
	case $arguments in
	'backup '*) night $day "$VMABAK" $arguments && day=$((day + 1)) ;;
	*) "$VMABAK" $arguments ;;
	esac
done <commands >said 2>&1

same_file "$TMPDIR/wednesday" wednesday/root.raw
! cmp -s "$TMPDIR/tuesday" wednesday/root.raw || fail "nothing has changed on a day"
"$VMABAK" verify -q --chain backups/web-2026-11-29T011500Z.vmab
[ -z "${VMABAK_README:-}" ] || { cat said; exit; }
# plain FILE: sizes and durations are what they are, and so columns.
plain()
{
	sed -E 's/[0-9.]+ ([KMG]i)?B/SIZE/g; s/[0-9.]+ s$/TIME/; s/ +/ /g' "$1"
}
plain wanted >wanted.plain
plain said >said.plain
diff wanted.plain said.plain || fail "README shows something else (<) than is printed (>)"
