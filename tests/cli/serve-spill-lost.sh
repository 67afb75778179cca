# What spilled and comes back changed, as zeros in place of pages that a file system lost, fails the backup, not the guest.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
make_random a.raw 67108864 1
mkdir spill
start_serve a=a.raw

# lose_spilled: zeros over all that lies in the spill file, as its owner may do by way of /proc.
lose_spilled()
{
	"$PYTHON" -c 'import os, sys
for fd in os.listdir(sys.argv[1]):
    path = os.path.join(sys.argv[1], fd)
    if "/spill/" not in os.readlink(path):
        continue
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(bytes(size))
        print(size)' "/proc/$serve/fd"
}

stalled_backup --buffer 16M --spill 64M --spill-dir "$PWD/spill"
guest a '
for at in range(0, 64 << 20, 65536):
    h.pwrite(b"x" * 65536, at)'
status 's["backup"]["spilled_clusters"] > 300'
[ "$(lose_spilled)" -gt 20000000 ] || fail "no spill file was found"
cat <&5 >a.vmab
wait $backup && fail "it ended well"
expect_text said "the spill file in $PWD/spill is not what was written" '--spill-dir'
[ "$(wc -l <said)" = 1 ] || fail "not one line: $(cat said)"
exec 5<&-
expect_code 4 "$VMABAK" verify a.vmab

# The guest goes on, and the next backup is right.
wait_until no_backup
guest a 'assert h.pread(3, 12345680) == b"xxx"; h.pwrite(b"y" * 65536, 0); h.flush()'
expect_code 0 live b.vmab -q
restored_is b.vmab a a.raw
stop_serve
