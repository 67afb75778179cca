# TLS at the NBD server: by keys, by certificates, and nothing without it.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need nbdinfo nbdcopy certtool

make_random a.raw 3000001
key=00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
echo "alice:$key" >keys.psk
echo "alice:ff$key" >wrong.psk
folder=$(pwd | sed 's/ /%20/g')
socket=socket=$(echo "$TMPDIR/s" | sed 's/ /%20/g')

# By keys.
serve_ours s -k keys.psk a.raw
nbdcopy "nbds+unix://alice@/?$socket&tls-psk-file=$folder/keys.psk" copy.raw
cmp a.raw copy.raw
make_random new.raw 3000001 2
nbdcopy new.raw "nbds+unix://alice@/?$socket&tls-psk-file=$folder/keys.psk"
cmp a.raw new.raw
expect_code 1 nbdinfo --size "nbds+unix://alice@/?$socket&tls-psk-file=$folder/wrong.psk"
expect_code 1 nbdcopy "nbd+unix:///?$socket" plain.raw
expect_text "$err" "requires TLS"
# Nor by the way that cannot be told of an error.
expect_code 1 "$PYTHON" -c 'import nbd, sys
h = nbd.NBD()
h.set_handshake_flags(0)
h.connect_uri(sys.argv[1])' "nbd+unix:///a.raw?$socket"
end_process $server

# By certificates.
mkdir pki
certtool --generate-privkey --key-type=ed25519 --outfile pki/ca-key.pem 2>/dev/null
printf 'cn = test\nca\ncert_signing_key\n' >ca.info
certtool --generate-self-signed --load-privkey pki/ca-key.pem --template ca.info --outfile pki/ca-cert.pem 2>/dev/null
for who in server client; do
	certtool --generate-privkey --key-type=ed25519 --outfile pki/$who-key.pem 2>/dev/null
	printf 'cn = localhost\ndns_name = localhost\ntls_www_%s\nsigning_key\n' $who >$who.info
	certtool --generate-certificate --load-ca-certificate pki/ca-cert.pem --load-ca-privkey pki/ca-key.pem \
		--load-privkey pki/$who-key.pem --template $who.info --outfile pki/$who-cert.pem 2>/dev/null
done
mkdir stranger
cp pki/ca-cert.pem stranger/
cat >read.py <<'END'
import nbd, sys
h = nbd.NBD()
h.set_tls(nbd.TLS_REQUIRE)
h.set_tls_certificates(sys.argv[2])
h.set_tls_verify_peer(False)
h.connect_unix(sys.argv[1])
with open("a.raw", "rb") as file:
    assert h.pread(3000001, 0) == file.read()
END
serve_ours s -x pki a.raw
"$PYTHON" read.py "$TMPDIR/s" stranger
end_process $server
serve_ours s -x pki -c a.raw
"$PYTHON" read.py "$TMPDIR/s" pki
expect_code 1 "$PYTHON" read.py "$TMPDIR/s" stranger
end_process $server

# What is not there is told at the start.
serve=$(dirname "$VMABAK")/nbd-serve
expect_code 1 "$serve" -a "unix:$TMPDIR/s" -x nowhere a.raw
expect_text "$err" nowhere
expect_code 1 "$serve" -a "unix:$TMPDIR/s" -k nowhere a.raw
expect_code 1 "$serve" -a "unix:$TMPDIR/s" -k keys.psk -c a.raw
