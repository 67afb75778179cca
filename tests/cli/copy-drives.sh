# A copy of a drive: sparse, in other formats, over NBD, in place, and by a list of changes; it is compared, and says where the
# target differs.
. "$(dirname "$0")/lib.sh"
need_images

copy() { "$VMABAK" copy "$@"; }
make_random a.raw 3000001 1
truncate -s 20000001 a.raw
put a.raw 12000000 data

expect_code 0 copy a.raw b.raw
expect_text "$err" read compared
same_file a.raw b.raw
[ "$(allocated b.raw)" -le 3200 ] || fail "not sparse: $(allocated b.raw) KiB"
expect_error 2 'exists already; --force' copy a.raw b.raw
expect_error 2 'a drive has no name' copy a=a.raw c.raw
expect_error 2 'once only' copy a.raw -
expect_error 2 'qemu:x' copy qemu:x c.raw
expect_error 1 'No such file' copy none.raw c.raw

# Other formats, and options of them.
expect_code 0 copy -q a.raw c.qcow2,cluster_size=128k
expect_code 0 copy -q c.qcow2 d.raw
cmp -n 20000001 a.raw d.raw || fail "through an image"

# Over NBD.
truncate -s 20000256 far.raw
qemu-nbd -t -f raw -k "$PWD/n.sock" far.raw &
on_exit "kill $! 2>/dev/null"
wait_until test -S n.sock
expect_error 2 'is an NBD export; --force' copy a.raw "nbd+unix:///?socket=n.sock"
expect_code 0 copy -q --force a.raw "nbd+unix:///?socket=n.sock"
cmp -n 20000001 a.raw far.raw || fail "over NBD"

# In place: what differs alone is written; a list saves reading, and one that lies is found out.
flip a.raw 70000
put a.raw 15000000 more
expect_code 0 copy --rollback a.raw b.raw --json
expect_json "$out" "d['written_bytes'] == 2 * 65536" "d['read_bytes'] > 3000000"
same_file a.raw b.raw
flip a.raw 70000
printf '# vmabak changes 1\n# size 20000001\n65536 65536\n# end 1\n' >right.list
expect_code 0 copy --changed right.list a.raw b.raw --json
expect_json "$out" "d['read_bytes'] == 65536" "d['written_bytes'] == 65536" "d['compared_bytes'] > 3000000"
same_file a.raw b.raw
flip a.raw 200000
expect_error 4 'b.raw: differs from a.raw at byte 200000' copy --changed right.list a.raw b.raw
expect_code 0 copy -q --changed right.list --no-verify a.raw b.raw
expect_error 2 'has 20000002 bytes' sh -c 'truncate -s 20000002 b.raw && "$VMABAK" copy --changed right.list a.raw b.raw'

# What --force opens it may empty: the sums of what was there go before.
expect_code 0 copy -q --force a.raw b.raw --sums b.sums
expect_code 1 copy -q --force a.raw missing/b.raw --sums b.sums
[ ! -e b.sums ] || fail 'the sums of a target that may be empty are there'
