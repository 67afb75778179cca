# What cannot be read of an archive is an error for its clusters alone; the rest is filled, and once it was written all is there. A disk that is
# full makes writes fail and filling wait, and loses nothing.
. "$(dirname "$0")/lib.sh"
need_python nbd
[ "${1:-}" = inside ] || {
	in_private_mounts env -u CLI_TEST_FOLDER sh "$0" inside
	exit
}
mkdir small
mount -t tmpfs -o size=3M tmpfs small || skip "no tmpfs here"
on_exit "umount \"$PWD/small\""

make_random a.raw 4194304 3
"$VMABAK" backup -q -o a.vmab --extent-size 256K --threads 1 root=a.raw
cp a.vmab bad.vmab
flip bad.vmab $(($(size_of a.vmab) / 2))

# begin ARCHIVE TARGET
begin()
{
	"$VMABAK" restore "$1" -d root="$2" --live any --nbd unix:n.sock --control c.sock 2>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
}
begun()
{
	"$VMABAK" status c.sock >/dev/null 2>&1 && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
# stop CODE
stop()
{
	wait_until eval '"$VMABAK" stop c.sock 2>/dev/null || [ $? != 7 ]'
	ended_with "$1" $live
}
cat >guest.py <<'PY'
import nbd, sys
truth = open("a.raw", "rb").read()
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
bad = []
for at in range(0, len(truth), 65536):
    try:
        if h.pread(65536, at) != truth[at:at + 65536]:
            sys.exit(f"wrong bytes at {at}")
    except nbd.Error as error:
        assert error.errno == "EIO", error.errno
        bad.append(at)
print(len(bad))
if "cure" in sys.argv:
    for at in bad:
        h.pwrite(truth[at:at + 65536], at)
PY
begin bad.vmab new.raw
wait_until grep -q 'bytes cannot be read from the archive; the machine gets an error there until it writes them' live.err
[ "$("$PYTHON" guest.py)" = 4 ] || fail "more or less than the clusters of one extent cannot be read"
stop 4
expect_text live.err '262144 bytes cannot be read' 'bad.vmab: byte '
[ ! -e new.raw ] || fail "it has its name"
begin bad.vmab new.raw
expect_text live.err 'goes on: 3932160 of 4194304 bytes are there'
[ "$("$PYTHON" guest.py cure)" = 4 ] || fail "after it went on"
wait_until grep -q 'all is there' live.err
stop 3
same_file a.raw new.raw

# No room.
begin a.vmab small/new.raw
wait_until grep -q 'filling stands still: No space left on device; it is tried again' live.err
"$PYTHON" - <<'PY' || fail "the guest"
import nbd
truth = bytearray(open("a.raw", "rb").read())
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
full = 0
for at in range(0, len(truth), 65536):
    try:
        h.pwrite(b"x" * 65536, at)
        truth[at:at + 65536] = b"x" * 65536
    except nbd.Error as error:
        assert error.errno == "ENOSPC", error.errno
        full += 1
        found = h.pread(65536, at)  # a part of it may have been done
        assert all(found[i:i + 4096] in (b"x" * 4096, truth[at + i:at + i + 4096]) for i in range(0, 65536, 4096))
        truth[at:at + 65536] = found
assert 4 < full < 60, full
assert h.pread(len(truth), 0) == truth
open("want", "wb").write(truth)
PY
mount -o remount,size=9M small
wait_until grep -q 'all is there' live.err
stop 3
same_file want small/new.raw
