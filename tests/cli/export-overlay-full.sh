# An overlay that is full is no room left for the guest (ENOSPC); what it has stays right, and the rest can be read.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdsh
[ "${1:-}" = inside ] || {
	in_private_mounts env -u CLI_TEST_FOLDER sh "$0" inside
	exit
}
mkdir small
mount -t tmpfs -o size=2M tmpfs small || skip "no tmpfs here"
on_exit "umount \"$PWD/small\""
"$PYTHON" -c 'import random
open("a.raw", "wb").write(random.Random(4).randbytes(8 << 20))'
"$VMABAK" backup -q -o a.vmab root=a.raw
start_export --overlay small/o a.vmab
"$PYTHON" - <<'EOF' || fail "the guest failed: $(cat export.err)"
import errno, nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
model, full = bytearray(open("a.raw", "rb").read()), 0
for at in range(0, len(model), 65536):
    data = bytes([at // 65536 + 1]) * 65536
    try:
        h.pwrite(data, at)
        model[at:at + 65536] = data
    except nbd.Error as error:
        assert error.errno == "ENOSPC", error.errno
        full += 1
        model[at:at + 65536] = h.pread(65536, at)  # a write that failed may have done a part
        assert all(model[i:i + 4096] in (data[:4096], open("a.raw", "rb").read()[i:i + 4096]) for i in range(at, at + 65536, 4096))
assert full > 50, full
h.flush()
assert h.pread(len(model), 0) == model
h.trim(65536, 0)
model[0:65536] = bytes(65536)
h.pwrite(b"x" * 65536, 65536 * 100)
model[65536 * 100:65536 * 101] = b"x" * 65536
assert h.pread(len(model), 0) == model
h.flush()
EOF
stop_export
