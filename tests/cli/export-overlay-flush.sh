# An error of write-back is told once for the file of an overlay: from then on no flush, of whatever drive, is called done, nor the end.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"
need nbdsh
: "${LIVE_TOOLS:=$SRC/build/release}"
[ -e "$LIVE_TOOLS/fault.so" ] || fail "no $LIVE_TOOLS/fault.so: run make live-tools"

truncate -s 1M a.raw b.raw
"$VMABAK" backup -q -o a.vmab a=a.raw b=b.raw
# The first call made the overlay.
real=$VMABAK
cat >failing <<END
#!/bin/sh
[ "\$1" = export ] || exec "$real" "\$@"
export FAULT_CALL=fsync FAULT_AT=2 FAULT_HOW=once FAULT_ERRNO=5 LD_PRELOAD="$LIVE_TOOLS/fault.so"
exec "$real" "\$@"
END
chmod +x failing
VMABAK=$PWD/failing
start_export --overlay o a.vmab
"$PYTHON" - <<'EOF' || fail "the guest was told what is not so: $(cat export.err)"
import nbd
drives = [nbd.NBD(), nbd.NBD()]
for name, h in zip("ab", drives):
    h.connect_uri("nbd+unix:///%s?socket=n.sock" % name)
    h.pwrite(b"x" * 65536, 0)
for h in drives:
    try:
        h.flush()
        raise SystemExit("a flush succeeds")
    except nbd.Error as error:
        assert error.errno == "EIO", error.errno
EOF
# It says that it failed, too; or that it was busy.
wait_until eval '"$VMABAK" stop c.sock 2>/dev/null || dead $export'
ended_with 1 $export
expect_text export.err 'flushing: Input/output error'
VMABAK=$real

# One that was cut short has lost data: it is refused.
truncate -s 1000000 o
expect_error 4 'o: the overlay is cut short: 1000000 bytes of ' timeout 60 "$VMABAK" export a.vmab --overlay o --nbd unix:m.sock
