# The keys of --tls-psk: read once, at the start; a file that is not right is refused with its line; and who has a wrong
# key learns nothing of which names there are.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"
need_feature tls
need_python nbd

make_random a.raw 100000
key=00112233445566778899aabbccddeeff
# refused CONTENT WORDS
refused()
{
	printf "$1" >bad.psk
	expect_error 2 "$2" timeout 200 "$VMABAK" serve --control x.sock --nbd unix:y.sock --tls-psk bad.psk a=a.raw
	[ ! -e x.sock ] && [ ! -e y.sock ] || fail "a socket is left"
	expect_no_text "$err" 0011
}
refused '' 'bad.psk: no key in it'
refused '# nobody yet\n\n' 'bad.psk: no key in it'
refused "$key\n" 'bad.psk: line 1 is not USER:HEXKEY'
refused ":$key\n" 'bad.psk: line 1 is not USER:HEXKEY'
refused "alice:$key\nbob:\n" 'bad.psk: line 2 has an empty key'
refused "alice:$key\nbob:${key}0\n" 'bad.psk: line 2 has a key that is not pairs'
refused "alice:$key\nbob:0x$key\n" 'bad.psk: line 2 has a key that is not pairs'
refused "alice:$key\n\nalice:ff$key\n" 'bad.psk: line 3 names a user a second time'
refused "alice:$key\nbob:\\000$key\n" 'bad.psk: line 2'
refused "alice:$(printf %04000d 0)\n" 'bad.psk: line 1 is too long'
for file in nowhere .; do
	expect_error 1 "tls: $file" "$VMABAK" serve --control x.sock --nbd unix:y.sock --tls-psk "$file" a=a.raw
done
expect_error 2 '/dev/zero: line 1' timeout 200 "$VMABAK" serve --control x.sock --nbd unix:y.sock --tls-psk /dev/zero a=a.raw

cat >visit.py <<'END'
import nbd, sys
user, key, fits = sys.argv[1:]
with open("mine.psk", "w") as file:
    file.write(f"{user}:{key}\n")
h = nbd.NBD()
h.set_export_name("a")
h.set_tls(nbd.TLS_REQUIRE)
h.set_tls_username(user)
h.set_tls_psk_file("mine.psk")
try:
    h.connect_unix("n.sock")
    h.pread(512, 0)
except nbd.Error as error:
    sys.exit(0 if fits == "no" else str(error))
sys.exit(fits == "no")
END
# As psktool and editors leave it; the name of carol is in hexadecimal.
printf '# those who may\r\n\r\nbob:ff%s\r\nalice:%s  \n#6361726f6c:AA%s\ndave:11%s' $key $key $key $key >keys.psk
start_serve -v --tls-psk keys.psk a=a.raw
expect_code 0 "$PYTHON" visit.py alice $key yes
expect_code 0 "$PYTHON" visit.py bob ff$key yes
expect_code 0 "$PYTHON" visit.py carol aa$key yes
expect_code 0 "$PYTHON" visit.py dave 11$key yes
lines=$(grep -c 'tls:' serve.err || true)
[ "$lines" = 0 ] || fail "it complains of those who have keys: $(cat serve.err)"
expect_code 0 "$PYTHON" visit.py alice ff$key no
expect_code 0 "$PYTHON" visit.py alic $key no
expect_code 0 "$PYTHON" visit.py mallory $key no
wait_until sh -c 'test $(grep -c tls: serve.err) = 3'
[ "$(grep tls: serve.err | sed 's/.*tls: //' | sort -u | wc -l)" = 1 ] || fail "names can be told: $(cat serve.err)"

# The file is not asked again.
rm keys.psk
expect_code 0 "$PYTHON" visit.py alice $key yes
stop_serve --force
