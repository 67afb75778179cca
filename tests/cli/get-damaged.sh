# vmabak ls and get of a damaged archive, without the program that reads file systems, and ended by a signal.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/mount.sh"
need grub-fstest mkfs.ext4

mkdir tree out scratch
make_random tree/random 9000000
echo small >tree/small
truncate -s 16M root.raw
mkfs.ext4 -q -F -d tree root.raw
TMPDIR=$PWD/scratch
export TMPDIR
expect_code 0 "$VMABAK" backup -o a.vmab root=root.raw

# The program is not there.
mkdir bin
ln -s "$(command -v fusermount3)" bin
expect_error 1 'there is no grub-fstest here' env PATH="$PWD/bin" "$VMABAK" get a.vmab root:/small -C out

# A signal ends all of it; it cannot be done before, as nobody reads more than a byte.
mkfifo pipe
exec 5<>pipe
in_background sh -c 'exec "$0" get a.vmab root:/random -o - >pipe' "$VMABAK"
[ "$(head -c 1 <&5 | wc -c)" = 1 ] || fail "nothing comes"
kill -INT "$pid"
ended_with 130 "$pid"
exec 5<&-
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"
[ "$(cat "$err")" = 'vmabak: interrupted' ] || fail "says: $(cat "$err")"

# Damage in the middle of the file.
cp a.vmab bad.vmab
flip bad.vmab 6000000
expect_code 4 "$VMABAK" get bad.vmab root:/random -C out
expect_text "$err" 'root:/random: cannot be read whole: 1 extent is damaged'
[ -z "$(ls -A out)" ] || fail "in it: $(ls -A out)"
# What could be read is right; the warning is of what was read ahead, or not.
lib_near=0
"$VMABAK" get bad.vmab root:/small -o - >near 2>near.err || lib_near=$?
case $lib_near in 0 | 3) ;; *) fail "exit code $lib_near: $(cat near.err)" ;; esac
[ "$(cat near)" = small ] || fail "not the small file"
[ -z "$(ls -A scratch)" ] || fail "left: $(ls -A scratch)"

# Of a folder the rest comes.
expect_code 4 "$VMABAK" get -r bad.vmab root:/ -o out/tree
expect_text "$err" 'root:/random: ' 'root:/: cannot be read whole: 1 extent is damaged'
[ "$(cat out/tree/small)" = small ] || fail "the others did not come"
[ ! -e out/tree/random ] || fail "a part of the damaged file is there"

# A listing tells that it may lack something, and shows what it has.
for at in $(seq 200000 300000 9000000); do
	flip bad.vmab "$at"
done
expect_code 4 "$VMABAK" ls bad.vmab root:/
expect_text "$err" 'root:/: cannot be read whole'
