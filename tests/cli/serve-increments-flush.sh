# When a drive cannot be flushed older data may be back in any of its clusters: the next increment compares all of it, and
# says so; the one after that goes by the map again.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
need_strace
truncate -s 8M a.raw
real=$VMABAK
cat >traced <<END
#!/bin/sh
# -D: the process of this number is the serve.
[ "\$1" = serve ] || exec "$real" "\$@"
exec strace -D -f -qq -o trace -e trace=fdatasync -e inject=fdatasync:error=EIO:when=1 "$real" "\$@"
END
chmod +x traced
VMABAK=$PWD/traced
start_serve a=a.raw
expect_code 0 live 0.vmab -q
guest a 'h.pwrite(b"x" * 100, 5000000)
try:
    h.flush()
    sys.exit("the flush does not fail")
except nbd.Error:
    pass'
# What the drive lost.
printf lost | dd of=a.raw bs=1 seek=1000000 conv=notrunc status=none
expect_code 0 "$VMABAK" checkpoint size --json serve:c.sock
expect_json "$out" "d['changed_bytes'] == 8 << 20"
expect_code 3 live 1.vmab --parent 0.vmab --json
expect_text "$err" 'drive a: all of it is compared' 'could not be flushed'
expect_json "$out" "d['data_clusters'] == 2"
restored_is 1.vmab a a.raw
expect_code 0 live 2.vmab --parent 1.vmab --json
expect_json "$out" "d['data_clusters'] == d['zero_clusters'] == 0" "d['drives'][0]['proof']['list'] == 'right'"
"$VMABAK" stop --force c.sock >said 2>&1 || true
wait $serve || true
