# What a file and its reflink copy share, asked for without FIEMAP_FLAG_SYNC: writes that are in the page cache only are not
# there yet. Three clusters were written; the list says that nothing was. And where the blocks of a file lay before.
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"

need mkfs.xfs mount
truncate -s 400M disk
mkfs.xfs -q disk 2>/dev/null || skip "no xfs here"
loop_device disk
mkdir mnt
mount "$loop" mnt 2>/dev/null || skip "xfs cannot be mounted here"
on_exit "umount '$PWD/mnt'"
size=$((64 << 20))
make_random mnt/disk.raw $size 1
cp --reflink=always mnt/disk.raw mnt/copy.raw
sync -f mnt
uuid=01234567-89ab-cdef-0123-45678900000
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}0 --token disk=copy -o 0.vmab disk=mnt/disk.raw

# shares [SYNC]: the ranges of disk.raw that copy.raw does not share, by FIEMAP.
cat >"$TMPDIR/unshared.py" <<'END2'
import array, fcntl, struct, sys

def extents(path, flags):
    at, found = 0, []
    with open(path, "rb") as file:
        while True:
            buffer = array.array("B", struct.pack("=QQLLLL", at, 2**64 - 1 - at, flags, 0, 200, 0) + bytes(56 * 200))
            fcntl.ioctl(file, 0xC020660B, buffer)
            n = struct.unpack_from("=L", buffer, 20)[0]
            if n == 0:
                return found
            for i in range(n):
                logical, physical, length = struct.unpack_from("=QQQ", buffer, 32 + 56 * i)
                last = struct.unpack_from("=L", buffer, 32 + 56 * i + 40)[0] & 1
                found.append((logical, physical, length))
            at = logical + length
            if last:
                return found

def blocks(path, flags):
    return {logical + at: physical + at for logical, physical, length in extents(path, flags)
            for at in range(0, length, 4096)}

flags, names = int(sys.argv[1]), sys.argv[2:]
if len(names) == 1:  # to be compared later
    print(*(f"{at}:{block}" for at, block in sorted(blocks(names[0], flags).items())), sep="\n")
    sys.exit()
new = blocks(names[0], flags)
if names[1] == "-":
    old = dict(map(int, line.split(":")) for line in sys.stdin)
else:
    old = blocks(names[1], flags)
print(*(f"{at} 4096" for at in sorted(new) if old.get(at) != new[at]))
END2
for n in 100 500 900; do put mnt/disk.raw $((n * 65536 + 9)) "other $n"; done
# shellcheck disable=SC2046 # words
list lie $size copy copy2 $("$PYTHON" "$TMPDIR/unshared.py" 0 mnt/disk.raw mnt/copy.raw)
[ "$(sed -n 's/# end //p' lie)" = 0 ] || skip "this kernel tells of writes that are not on the disk yet"

code=0 n=0
while [ $code = 0 ]; do
	[ $n -lt 5 ] || fail "not found by 5 increments"
	parent=$n.vmab
	n=$((n + 1))
	sed "s/# since.*/# since copy$([ $n = 1 ] || echo $n)/; s/# until.*/# until copy$((n + 1))/" lie >lie$n
	"$VMABAK" backup --audit 1/5 --uuid ${uuid}$n --parent $parent --changed disk=lie$n -o $n.vmab disk=mnt/disk.raw \
		>"$out" 2>"$err" || code=$?
done
[ $code = 3 ] || fail "exit code $code: $(cat "$err")"
expect_found $n.vmab samples audit
cp mnt/disk.raw disk.raw
same_instant $n.vmab disk

# With the flag the list is right.
# shellcheck disable=SC2046 # words
list right $size copy copy2 $("$PYTHON" "$TMPDIR/unshared.py" 1 mnt/disk.raw mnt/copy.raw)
expect_code 0 "$VMABAK" backup -q --audit 1/1 --parent 0.vmab --changed disk=right -o right.vmab disk=mnt/disk.raw
same_instant right.vmab disk

# Without a copy xfs writes in place: where the blocks of a file lie now and lay then is the same.
make_random mnt/lone.raw 9000000 2
"$PYTHON" "$TMPDIR/unshared.py" 1 mnt/lone.raw >then
expect_code 0 "$VMABAK" backup -q --token lone=then -o lone0.vmab lone=mnt/lone.raw
put mnt/lone.raw 4000000 'in place'
# shellcheck disable=SC2046 # words
list in-place 9000000 then now $("$PYTHON" "$TMPDIR/unshared.py" 1 mnt/lone.raw - <then)
[ "$(sed -n 's/# end //p' in-place)" = 0 ] || fail 'xfs wrote elsewhere'
expect_code 3 "$VMABAK" backup --parent lone0.vmab --changed lone=in-place -o lone1.vmab lone=mnt/lone.raw
expect_found lone1.vmab samples
cp mnt/lone.raw lone.raw
same_instant lone1.vmab lone
