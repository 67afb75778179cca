# When the disk loses data of a scratch file of libvirt the backup fails. The machine is well.
. "$(dirname "$0")/lib.sh"
. "$CLI/libvirt.sh"
need_strace
need_libvirt

make_random fs.raw 4194304 1
make_random A.raw 20975104 2
make_random B.raw 12586496 3
idle_domain web "$(disk raw "$PWD/fs.raw" vda) $(disk raw "$PWD/A.raw" vdb) $(disk raw "$PWD/B.raw" vdc)"
# backup CODE [COMMAND]...: to a pipe, which is written without sync_file_range.
mkfifo pipe
backup()
{
	code=$1
	shift
	cat pipe >a.vmab &
	reader=$!
	as_user "$@" "$vmabak" backup -q libvirt:web --scratch "$lv/tmp" -o - >pipe 2>"$err" &
	ended_with "$code" $!
	wait $reader
	nothing_in_libvirt
	[ -z "$(ls -A "$lv/tmp")" ] || fail "left: $(ls -lR "$lv/tmp")"
}
backup 1 strace -f -qq -o "$lv/work/trace" -e trace=sync_file_range -e inject=sync_file_range:error=ENOSPC
expect_text "$err" 'scratch image' 'its file system lost data: No space left'
expect_code 4 "$VMABAK" verify a.vmab
domain_is_well
backup 0
expect_code 0 "$VMABAK" verify a.vmab
domain_is_well
