# What clients write to an export goes to an overlay: it reads back, outlives the export and its death, and the archive stays
# as it was. A backup of what was written is one of any drive that is served.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdsh nbdcopy

"$PYTHON" -c 'import random
rng = random.Random(4)
open("a.raw", "wb").write(rng.randbytes(3 << 20) + bytes(2 << 20) + rng.randbytes(777777))'
"$VMABAK" backup -q -o a.vmab root=a.raw
"$VMABAK" backup -q -o b.vmab root=a.raw
sha256sum a.vmab >sums

guest() { "$PYTHON" "$CLI/overlay_guest.py" a.raw model "$@" || fail "the guest failed: $(cat export.err)"; }

whole()
{
	nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
	cmp "$1" out.raw || fail "the export differs from $1"
}

# what FILE: what an overlay shows where something was written after the last flush
what()
{
	cp "$1" tried
	start_export --overlay tried a.vmab
	"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
now, model, truth = (bytearray(x) for x in (h.pread(h.get_size(), 0), open("model", "rb").read(), open("a.raw", "rb").read()))
assert now[4096:] == model[4096:]
print({bytes(truth[:4096]): "archive", bytes(b"not flushed" + model[11:4096]): "written", bytes(model[:4096]): "flushed"}[bytes(now[:4096])])' >what
	kill -9 $export
	wait $export 2>/dev/null || true
	cat what
}

# Begun, killed after a flush, gone on with; ended in order, gone on with.
start_export --overlay o a.vmab
guest 60 1
kill -9 $export
wait $export 2>/dev/null || true
# What was not flushed is there in the boot in which it was written, and in no other, also not once that ends.
cp o killed
what killed
[ "$(cat what)" = written ] || fail "lost what was not flushed: $(cat what)"
"$PYTHON" -c 'data = bytearray(open("killed", "rb").read())
at = data.rindex(bytes.fromhex(open("/proc/sys/kernel/random/boot_id").read().replace("-", "")))
data[at] ^= 1
open("killed", "wb").write(data)'
what killed
other=$(cat what)
case $other in flushed | archive) ;; *) fail "after another boot: $other" ;; esac
cp tried killed
what killed
[ "$(cat what)" = "$other" ] || fail "came back: $(cat what)"
# An overlay made before there was that part of it.
"$PYTHON" -c 'data = open("o", "rb").read()
open("killed", "wb").write(data[:data.rindex(bytes.fromhex(open("/proc/sys/kernel/random/boot_id").read().replace("-", "")))])'
what killed
[ "$(cat what)" = "$other" ] || fail "an old overlay: $(cat what)"
start_export --overlay o a.vmab
"$PYTHON" - <<'EOF'
import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
now, model, truth = (bytearray(x) for x in (h.pread(h.get_size(), 0), open("model", "rb").read(), open("a.raw", "rb").read()))
assert now[4096:] == model[4096:]
assert now[:4096] == b"not flushed" + model[11:4096], "the block that was not flushed"
h.pwrite(model[:4096], 0)
EOF
guest 60 2
stop_export
start_export --overlay o a.vmab
"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
assert h.pread(11, 0) == b"not flushed", "the end in order flushes"
h.pwrite(open("model", "rb").read(11), 0)'
whole model

# It is used by one export, of one archive.
expect_code 7 timeout 60 "$VMABAK" export a.vmab --overlay o --nbd unix:m.sock
expect_text "$err" "o: the overlay is in use"
"$VMABAK" backup -q serve:c.sock -o tested.vmab
"$VMABAK" restore -q tested.vmab -d root=tested.raw
cmp model tested.raw
guest 20 3
"$VMABAK" backup -q serve:c.sock --parent tested.vmab -o tested2.vmab
"$PYTHON" -c 'open("expected", "wb").write(b"not flushed" + open("model", "rb").read()[11:])'
"$VMABAK" restore -q tested2.vmab -d root=tested2.raw
cmp expected tested2.raw
stop_export
expect_code 2 timeout 60 "$VMABAK" export b.vmab --overlay o --nbd unix:m.sock
expect_text "$err" "o: is an overlay of another archive"
echo something >else
expect_code 2 timeout 60 "$VMABAK" export a.vmab --overlay else --nbd unix:m.sock
expect_text "$err" "else: exists, and is no overlay"
[ "$(cat else)" = something ] || fail "it was changed"

# Nor a file that another user may have made.
mkdir -m 777 shared
install -m 666 /dev/null shared/o
expect_code 2 timeout 60 "$VMABAK" export a.vmab --overlay shared/o --nbd unix:m.sock
expect_text "$err" "shared/o: belongs to another user, or others may write to it"
[ ! -s shared/o ] || fail "it was taken up"

# In memory nothing is kept.
rm model
start_export --overlay memory a.vmab
guest 60 5
stop_export
start_export --overlay memory a.vmab
whole a.raw
stop_export
sha256sum -c --quiet sums || fail "the archive was changed"
