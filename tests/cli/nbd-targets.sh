# Restoring over what an NBD server has: no old byte remains, sizes are judged as for devices.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"

need_libnbd
make_random drive.raw 6000000 1
truncate -s 16M drive.raw
make_random end 1000 2
cat end >>drive.raw
rm end
size=$(size_of drive.raw)
expect_code 0 "$VMABAK" backup -o a.vmab d=drive.raw second=drive.raw

# restored NAME SIZE [ARGUMENT of nbdkit]...: over a file full of ff.
restored()
{
	name=$1 target_size=$2
	shift 2
	make_full "$name" "$target_size"
	serve_nbdkit "$name.socket" "$@" file "$name"
	expect_code 0 "$VMABAK" restore --force a.vmab -d "d=$(nbd_uri "$name.socket")"
	end_process "$server"
	cmp -n "$size" drive.raw "$name" || fail "$name: not the drive"
}
restored same "$size"
same_file drive.raw same
[ "$(allocated same)" -lt 8000 ] || fail "zeros are no holes: $(allocated same) KiB"
restored nozero "$size" --filter=nozero
same_file drive.raw nozero
restored single "$size" --filter=noparallel
same_file drive.raw single
# What is left over is zeroed when it is little, and left alone otherwise.
restored larger $((size + 4194304))
tail -c 4194304 larger | cmp -n 4194304 - /dev/zero || fail "the rest is not zero"
restored much $((size + 4194305))
expect_text "$err" 'is 4.0 MiB (4194305 bytes) larger'
tail -c 4194305 much | tr -d '\377' | cmp - /dev/null || fail "the rest was written to"
expect_code 0 "$VMABAK" verify a.vmab

# Refused; the other drive is not begun either.
make_full small $((size - 1))
serve_nbdkit small.socket file small
serve_nbdkit same.again file same
make_full same "$size"
expect_error 2 "has $((size - 1)) bytes, and the drive $size" "$VMABAK" restore --force a.vmab \
	-d "second=$(nbd_uri same.again)" -d "d=$(nbd_uri small.socket)"
expect_error 2 'force overwrites it' "$VMABAK" restore a.vmab -d "d=$(nbd_uri same.again)"
expect_error 2 'to the same place' "$VMABAK" restore --force a.vmab -d "d=$(nbd_uri same.again)" \
	-d "second=$(nbd_uri same.again)"
expect_error 2 raw "$VMABAK" restore --force a.vmab -d "d=$(nbd_uri same.again),format=qcow2"
serve_nbdkit read.only -r file same
expect_error 2 'is read-only' "$VMABAK" restore --force a.vmab -d "d=$(nbd_uri read.only)"
tr -d '\377' <same | cmp - /dev/null || fail "something was written"
