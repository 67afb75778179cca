# For tests of `vmabak snapshot`, whose clients read from s.sock: sourced after lib.sh.

# snapshot_of COMMAND [ARGUMENT]...: the command is a `vmabak snapshot`; $snapshot is its pid.
snapshot_of()
{
	rm -f s.sock
	"$@" --nbd unix:s.sock 2>snapshot.err &
	snapshot=$!
	on_exit "kill -9 $snapshot 2>/dev/null"
	wait_until snapshot_began
}
snapshot_began()
{
	[ -S s.sock ] && return
	kill -0 $snapshot 2>/dev/null || fail "the snapshot has ended: $(cat snapshot.err)"
	return 1
}
uri() { echo "nbd+unix:///$1?socket=s.sock"; } # DRIVE
dirty() # DRIVE: how many bytes the bitmap of the snapshot names
{
	nbdinfo --map="qemu:dirty-bitmap:mine" --totals "$(uri "$1")" | awk '$3 % 2 == 1 { n = $1 } END { print n + 0 }'
}
