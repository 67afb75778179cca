# A backup with --track that is killed after any of its commands to QEMU loses nothing: the next increment is of what changed,
# with exit code 0, and right to the byte, pushed and pulled. So it is after QEMU was, with code 3. VMABAK_KILLS=N: after each N-th command.
# long: ten backups, each of which is killed at another moment
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
killer=$TMPDIR/killer

# killed_after COMMANDS ARGUMENT...: $given is how many commands it gave, at most that many.
killed_after()
{
	rm -f "$killer" given
	"$PYTHON" -S "$CLI/qmp_killer.py" "$killer" "$qmp" "$1" ${victim:-} >given &
	lib_killer=$!
	on_exit "kill -9 $lib_killer 2>/dev/null"
	shift
	case " $* " in
	*' --pull '*) set -- --nbd-server "$exports" --scratch "$PWD/scratch" "$@" ;;
	esac
	wait_until test -S "$killer"
	"$VMABAK" backup -q "qemu:$killer" --track --state state -o killed.vmab "$@" >killed.out 2>&1 || true
	wait_until test -s given
	given=$(cat given)
	wait_until no_guard_here
	kill -9 $lib_killer 2>/dev/null || true
	wait $lib_killer 2>/dev/null || true
	rm -f killed.vmab killed.vmab.sums
}

no_guard_here()
{
	! pgrep -f "^vmabak guard .*-- qemu:$killer" >/dev/null
}

# one_moment MOMENT NAME PARENT HOW...: of an increment of that archive; no parent: of the last. False: it was over before.
one_moment()
{
	lib_moment=$1 name=$2 parent=$3
	shift 3
	n=$((n + 1))
	write_A $n 5M 64k
	killed_after "$lib_moment" --parent "${parent:-$last}" "$@"
	[ "$given" -gt 0 ] || return 1
	write_B $n 9M 128k
	track 0 -o "$n.vmab" --parent "${parent:-$last}" --json "$@"
	expect_json "$out" "all(d['proof']['listed_clusters'] < 12 for d in d['drives'])" "d['warnings'] == []"
	last=$n.vmab
	is_live "$last"
	[ -z "$(ls -d "$TMPDIR"/vmabak-* 2>/dev/null)" ] || fail "left: $(ls -d "$TMPDIR"/vmabak-*) at $lib_moment"
}

# qemu_killed MOMENT HOW...: QEMU is; what it recorded is lost, of the qcow2, too.
qemu_killed()
{
	lib_moment=$1 victim=$daemon
	shift
	n=$((n + 1))
	write_A $n 5M 64k
	killed_after "$lib_moment" --parent "$last" "$@"
	[ "$given" -gt 0 ] || fail "QEMU was not killed after $lib_moment"
	wait_until gone "$daemon"
	victim=
	start_drives
	write_B $n 9M 128k
	track 3 -q -o "$n.vmab" --parent "$last" "$@"
	last=$n.vmab
	is_live "$last"
}

# all_moments NAME PARENT HOW...
all_moments()
{
	moment=1
	while one_moment $moment "$@"; do
		moment=$((moment + VMABAK_KILLS))
	done
	[ $moment -gt 20 ] || fail "$1: only $given commands"
}

track 0 -q -o 0.vmab
last=0.vmab n=0
if [ -n "${VMABAK_KILLS:-}" ]; then
	all_moments push ''
	all_moments old 0.vmab
	all_moments pull '' $pulled
else
	for moment in block-dirty-bitmap-merge:1 bitmap-add:1 bitmap-add:2 blockdev-backup:1 bitmap-disable:1 bitmap-merge:5 bitmap-remove:1; do
		one_moment $moment push '' || fail "not killed after $moment"
	done
	for moment in read-only:1 bitmap-merge:4 block-export-add:1; do
		one_moment $moment old 0.vmab $([ $moment != block-export-add:1 ] || echo $pulled) ||
			fail "not killed after $moment"
	done
fi
nothing_in_qemu
qemu_killed bitmap-add:1
qemu_killed blockdev-backup:1
qemu_killed bitmap-disable:1
qemu_killed bitmap-remove:1 $pulled
