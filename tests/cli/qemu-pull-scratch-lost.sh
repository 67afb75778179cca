# When the disk loses data of a scratch image a backup by --pull fails: what was read of it may be wrong. The guest is well.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_images
need_strace
two_drives
mkdir scratch
mkfifo pipe
# pull CODE [COMMAND]...: to a pipe, which is written without sync_file_range.
pull()
{
	code=$1
	shift
	cat pipe >a.vmab &
	reader=$!
	"$@" "$VMABAK" backup -q "qemu:$qmp" --pull --nbd-server "$exports" --scratch "$PWD/scratch" -o - >pipe 2>"$err" &
	ended_with "$code" $!
	wait $reader
	[ -z "$(ls -A scratch)" ] || fail "left: $(ls -lR scratch)"
	nothing_in_qemu
}
for what in EIO ENOSPC; do
	pull 1 strace -f -qq -o "$TMPDIR/trace" -e trace=sync_file_range -e inject=sync_file_range:error=$what
	expect_text "$err" 'scratch image' 'its file system lost data' '--scratch names another place'
	[ "$(wc -l <"$err")" = 1 ] || fail "not one line: $(cat "$err")"
	expect_code 4 "$VMABAK" verify a.vmab
done
qemu-io -f raw -c 'write -q -P 3 0 1M' "$uri_A"
pull 0
expect_code 0 "$VMABAK" verify a.vmab
