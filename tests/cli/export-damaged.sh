# A damaged extent cannot be read, and is named once; all else can.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdsh

"$PYTHON" -c 'import random
open("a.raw", "wb").write(random.Random(3).randbytes(4 << 20) + bytes(1 << 20))'
"$VMABAK" backup -q -o a.vmab --extent-size 256K --threads 1 root=a.raw

# In the payload of the extent in the middle.
cp a.vmab bad.vmab
at=$(($(stat -c %s a.vmab) / 2))
"$PYTHON" - $at <<'EOF'
import sys
file = open("bad.vmab", "r+b")
file.seek(int(sys.argv[1]))
byte = file.read(1)[0]
file.seek(int(sys.argv[1]))
file.write(bytes([byte ^ 1]))
EOF
start_export bad.vmab
cat >reads.py <<'EOF'
import nbd, sys
h = nbd.NBD()
h.add_meta_context("base:allocation")
h.connect_uri("nbd+unix:///root?socket=n.sock")
truth = open("a.raw", "rb").read()
bad = []
for round in 1, 2:
    for at in range(0, len(truth), 65536):
        try:
            if h.pread(65536, at) != truth[at:at + 65536]:
                sys.exit(f"wrong bytes at {at}")
        except nbd.Error as error:
            bad.append(at // 65536)
assert bad[:len(bad) // 2] == bad[len(bad) // 2:], bad
n = len(set(bad))
print(n)
# It counts as data, not as a hole.
kinds = []
h.block_status(len(truth), 0, lambda name, offset, entries, error: kinds.extend(entries))
assert sum(kinds[i] for i in range(0, len(kinds), 2) if kinds[i + 1] == 0) >= 4 << 20, kinds
h.shutdown()
EOF
n=$("$PYTHON" reads.py) || fail "reads.py"
[ "$n" = 4 ] || fail "$n clusters cannot be read, instead of the 4 of one extent"
stop_export 3
[ "$(grep -c 'cannot be read' export.err)" = 1 ] || fail "named otherwise than once: $(cat export.err)"
expect_text export.err "bad.vmab: byte " "checksum mismatch"

# Truncated while it is open: what is gone cannot be read.
cp a.vmab cut.vmab
start_export cut.vmab
truncate -s $at cut.vmab
n=$("$PYTHON" reads.py 2>&1) || true
[ "$n" -gt 4 ] && [ "$n" -lt 64 ] || fail "$n clusters cannot be read"
stop_export 3

# Replaced while it is open: what was opened goes on to be served.
cp a.vmab moved.vmab
start_export moved.vmab
cp bad.vmab other.vmab
mv other.vmab moved.vmab
same_bytes root a.raw 40
stop_export

# Truncated before.
expect_code 4 timeout 60 "$VMABAK" export cut.vmab --nbd unix:n.sock
expect_text "$err" "cut.vmab: incomplete" 
