# backup --parent --changed: only what the list names is read, everything else is as the parent has it; the drive may grow,
# shrink or be new; an increment by the list restores as one made without it.
. "$(dirname "$0")/lib.sh"

# list FILE SIZE RANGE...: a list of vmabak's own.
list()
{
	lib_list=$1
	{
		echo '# vmabak changes 1'
		echo "# size $2"
		shift 2
		[ $# = 0 ] || printf '%s %s\n' "$@"
		echo "# end $(($# / 2))"
	} >"$lib_list"
}

# check ARCHIVE DRIVE...: it restores to what these are now.
check()
{
	rm -rf back
	expect_code 0 "$VMABAK" restore -q "$1" -C back
	shift
	for drive; do same_file "back/$drive.raw" "$drive.raw"; done
}

cluster=65536
make_random root.raw $((1500 * cluster)) 1
make_random data.raw $((100 * cluster + 777)) 2
expect_code 0 "$VMABAK" backup -q -o full.vmab root=root.raw data=data.raw

# Two writes, of which one crosses clusters; and zeros where data was.
put root.raw $((3 * cluster + 5)) changed
put root.raw $((50 * cluster - 3)) across
dd if=/dev/zero of=root.raw bs=$cluster seek=120 count=20 conv=notrunc status=none
list root.list $((1500 * cluster)) $((3 * cluster + 5)) 7 $((50 * cluster - 3)) 6 $((120 * cluster)) $((20 * cluster))
list data.list $((100 * cluster + 777))
need_strace
expect_code 0 strace -f -o "$TMPDIR/calls" -e trace=pread64,preadv,read -P root.raw -P data.raw \
	"$VMABAK" backup -q --since-unchecked --parent full.vmab --changed root=root.list --changed data=data.list -o one.vmab root=root.raw data=data.raw
read_bytes=$(sed -n 's|.*) = \([0-9]*\)$|\1|p' "$TMPDIR/calls" | awk '{ n += $1 } END { print n + 0 }')
# Of all else some are read as a proof: 256 of each drive, some beside what is listed, and a thirtieth.
[ "$read_bytes" -le $((500 * cluster)) ] || fail "$read_bytes bytes of the drives were read, of 23 clusters"
[ "$read_bytes" -ge $((3 * cluster)) ] || fail "only $read_bytes bytes were read: they are not counted right"
check one.vmab root data
expect_code 0 "$VMABAK" backup -q --parent full.vmab -o all.vmab root=root.raw data=data.raw
expect_code 0 "$VMABAK" diff one.vmab all.vmab
expect_code 0 "$VMABAK" backup --json --since-unchecked --parent full.vmab --changed root=root.list --force -o one.vmab root=root.raw data=data.raw
expect_json "$out" 'd["data_clusters"] == 3 and d["zero_clusters"] == 20'

# What a list leaves out is found by the proof, here because all is audited; see proof-*.sh.
put root.raw $((7 * cluster)) missed
list none.list $((1500 * cluster))
expect_code 3 "$VMABAK" backup -q --since-unchecked --audit 1/1 --parent one.vmab --changed root=none.list -o none.vmab root=root.raw
check none.vmab root

# Grown, shrunk, and not in the parent: the rest of the drive counts as changed, named or not.
make_random root.raw $((210 * cluster + 99)) 5
cp root.raw old.raw
truncate -s $((200 * cluster + 5000)) old.raw
expect_code 0 "$VMABAK" backup -q -o old.vmab root=old.raw
list grown.list $((210 * cluster + 99))
expect_code 0 "$VMABAK" backup -q --parent old.vmab --since-unchecked --changed root=grown.list -o grown.vmab root=root.raw
check grown.vmab root
truncate -s $((150 * cluster + 31)) root.raw
list shrunk.list $((150 * cluster + 31))
expect_code 0 "$VMABAK" backup -q --parent grown.vmab --since-unchecked --changed root=shrunk.list -o shrunk.vmab root=root.raw
check shrunk.vmab root
list data.list $((100 * cluster + 777))
expect_code 3 "$VMABAK" backup -q --parent shrunk.vmab --changed data=data.list -o new.vmab root=root.raw data=data.raw
check new.vmab root data

# What cannot be is refused, before anything is written.
refused()
{
	expect_error "$@" -o refused.vmab root=root.raw data=data.raw
	[ ! -e refused.vmab ] || fail "an archive was made"
}
refused 2 "needs --parent" "$VMABAK" backup --changed data=data.list
refused 2 "there is no drive other" "$VMABAK" backup --parent new.vmab --changed other=data.list
refused 2 "must be NAME=LIST" "$VMABAK" backup --parent new.vmab --changed ./data.list
refused 2 "has a list already" "$VMABAK" backup --parent new.vmab --changed data=data.list --changed data=data.list
refused 2 "must be one of: own" "$VMABAK" backup --parent new.vmab --changed data=data.list,format=json
refused 4 "but this one has" "$VMABAK" backup --parent new.vmab --changed root=data.list
refused 1 "No such file" "$VMABAK" backup --parent new.vmab --changed root=nothing
expect_error 2 'standard input can only be read in full' "$VMABAK" backup --parent new.vmab --changed root=data.list -o refused.vmab \
	root=-,size=6553600 <data.raw
head -n 2 data.list >cut.list
refused 4 "--changed data: cut.list: incomplete" "$VMABAK" backup --parent new.vmab --changed data=cut.list
