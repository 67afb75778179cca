# A push or a pull that is killed as soon as it has its folder, before anything is in QEMU, leaves
# nothing: who cleans up is there before the folder.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need pgrep
need_strace
two_drives
# killed CALL [OPTION]...: a backup, by the first call of that name after it has made its folder.
killed()
{
	code=0
	call=$1
	shift
	strace -qq -o "$TMPDIR/trace" -e "trace=mkdir,$call" -e "inject=$call:signal=KILL" \
		"$VMABAK" backup -q "qemu:$qmp" "$@" -o a.vmab >"$out" 2>"$err" || code=$?
	[ $code = 137 ] || fail "code $code: $(cat "$err")"
	grep -q 'mkdir.*/vmabak-.*= 0' "$TMPDIR/trace" || fail "killed elsewhere: $(cat "$TMPDIR/trace")"
	nothing_in_qemu
	rm -f .*.part
	[ ! -e a.vmab ] || fail 'an archive is there'
	expect_code 0 "$VMABAK" backup -q "qemu:$qmp" "$@" -o a.vmab
	expect_no_text "$err" 'cleaned up'
	rm a.vmab
}
killed bind
killed flock --pull --nbd-server "$exports" --scratch "$TMPDIR"
