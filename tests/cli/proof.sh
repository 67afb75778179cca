# Change lists for tests of their proof. After lib.sh.

# list FILE SIZE SINCE UNTIL [OFFSET LENGTH]...: of vmabak's own format; "-" for no token.
list()
{
	lib_list=$1
	{
		echo '# vmabak changes 1'
		echo "# size $2"
		[ "$3" = - ] || echo "# since $3"
		[ "$4" = - ] || echo "# until $4"
		shift 4
		[ $# = 0 ] || printf '%s %s\n' "$@"
		echo "# end $(($# / 2))"
	} >"$lib_list"
}

# bitmap_list IMAGE BITMAP FILE SINCE UNTIL: what a persistent bitmap of a qcow2 image says, as qemu-nbd and qemu-img have
# it. The area that is dirty is shown as unallocated there.
bitmap_list()
{
	need_images
	qemu-nbd -r -t -k "$TMPDIR/bitmap.sock" -f qcow2 -B "$2" "$1" &
	lib_server=$!
	wait_until test -S "$TMPDIR/bitmap.sock"
	qemu-img map --output=json --image-opts \
		"driver=nbd,server.type=unix,server.path=$TMPDIR/bitmap.sock,x-dirty-bitmap=qemu:dirty-bitmap:$2" >"$TMPDIR/map"
	kill $lib_server
	wait $lib_server || true
	rm -f "$TMPDIR/bitmap.sock"
	# shellcheck disable=SC2046 # words
	list "$3" "$(size_in "$1")" "$4" "$5" $("$PYTHON" -c 'import json, sys
for one in json.load(open(sys.argv[1])):
    if not one["data"]:
        print(one["start"], one["length"])' "$TMPDIR/map")
}

# The size of the disk in an image.
size_in()
{
	qemu-img info --output=json "$1" | "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["virtual-size"])'
}

# expect_found ARCHIVE RULE...: the last backup ended with 3, all of the drive was compared, one of these rules found it;
# and the archive tells of it.
expect_found()
{
	lib_archive=$1
	shift
	expect_text "$err" "its change list is wrong and not used" "all of the drive is compared"
	lib_rule=$(sed -n 's/.*(found by: \([a-z]*\)).*/\1/p' "$err")
	case " $* " in
	*" $lib_rule "*) ;;
	*) fail "found by $lib_rule, not by $*" ;;
	esac
	"$VMABAK" list --json "$lib_archive" >"$TMPDIR/listed"
	expect_json "$TMPDIR/listed" '[drive["proof"]["list"] for drive in d["drives"]] == ["wrong"]' \
		'd["drives"][0]["proof"]["wrong_clusters"] > 0' 'd["drives"][0]["proof"]["audit_points"] == 1 << 32'
}

# same_instant ARCHIVE DRIVE...: it restores to what these are now: NAME.raw, or IMAGE as NAME=IMAGE.
same_instant()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	shift
	for lib_drive; do
		case $lib_drive in
		*=*) [ "$(qemu-img compare -f raw -F qcow2 "back/${lib_drive%%=*}.raw" "${lib_drive#*=}")" = 'Images are identical.' ] ||
			fail "$lib_drive is restored as something else" ;;
		*) same_file "back/$lib_drive.raw" "$lib_drive.raw" ;;
		esac
	done
}
