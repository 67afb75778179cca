# vmabak mount: the newest instant of a chain; names that no file can have; damage.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"

make_random root.raw 5000000 1
expect_code 0 "$VMABAK" backup -o full.vmab root=root.raw
put root.raw 3000000 change
expect_code 0 "$VMABAK" backup -o inc.vmab --parent full.vmab root=root.raw
mkdir mnt
mounts mnt inc.vmab
same_file root.raw mnt/root.raw
fusermount3 -u mnt
wait_until dead "$server"

# Names: of a path, of what another file has, of two that are the same in the end.
compile - names.vmab <<'END'
format vmab
config x.raw text one
config ../up text climbs
drive x 65536
drive ../../etc/passwd 65536
extent
data x 0 fill 61
data ../../etc/passwd 0 fill 62
END
mounts mnt names.vmab
[ "$(ls -A mnt | tr '\n' ' ')" = '@2.raw @config-1 @config-2 x.raw ' ] || fail "in it: $(ls -A mnt)"
[ "$(size_of mnt/x.raw)" = 65536 ] || fail "x.raw is not the drive"
[ "$(cat mnt/@config-1)" = one ] || fail "not the config"
fusermount3 -u mnt
wait_until dead "$server"

# A damaged extent cannot be read, all else can.
cp full.vmab bad.vmab
flip bad.vmab 3000000
mounts mnt bad.vmab
! cat mnt/root.raw >/dev/null 2>cat.err || fail "damage was read"
expect_text cat.err 'Input/output error'
"$VMABAK" restore -q full.vmab -C restored
cmp -n 1000000 mnt/root.raw restored/root.raw || fail "what is not damaged differs"
fusermount3 -u mnt
wait_until dead "$server"
