# serve has each drive as an export of its name, with what it can do; it is refused what makes no sense.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdinfo
make_random a.raw 1000000 1
truncate -s 100M b.raw
start_serve root=a.raw b.raw
expect_text serve.err 'vmabak: drive root: nbd+unix:///root?socket=n.sock' 'drive disk1: nbd+unix:///disk1?socket=n.sock'
[ "$(stat -c '%a %F' c.sock)" = "600 socket" ] || fail "c.sock is $(stat -c '%a %F' c.sock)"
[ "$(stat -c '%a %F' n.sock)" = "600 socket" ] || fail "n.sock is $(stat -c '%a %F' n.sock)"
nbdinfo --json --list 'nbd+unix:///?socket=n.sock' >list.json
expect_json list.json "[e['export-name'] for e in d['exports']] == ['root', 'disk1']" \
	"[e['export-size'] for e in d['exports']] == [1000000, 104857600]" \
	"all(e[c] for e in d['exports'] for c in ('can_multi_conn', 'can_flush', 'can_fua', 'can_trim', 'can_zero'))" \
	"not any(e['is_read_only'] for e in d['exports'])" \
	"all('base:allocation' in e['contexts'] for e in d['exports'])"
status "[d['name'] for d in s['drives']] == ['root', 'disk1']" "s['read_only'] is False"
guest root 'assert h.pread(1000000, 0) == open("a.raw", "rb").read()'
stop_serve
nothing_but a.raw b.raw list.json serve.err

expect_error 2 '--control SOCKET is needed' "$VMABAK" serve --nbd unix:n.sock a.raw
expect_error 2 '--nbd is needed' "$VMABAK" serve --control c.sock a.raw
expect_error 2 'too few arguments' "$VMABAK" serve --control c.sock --nbd unix:n.sock
expect_error 2 'taken already' "$VMABAK" serve --control c.sock --nbd unix:n.sock x=a.raw x=b.raw
expect_error 2 'of which drive' "$VMABAK" serve --control c.sock --nbd unix:n.sock --map m x=a.raw y=b.raw
expect_error 2 'no drive of that name' "$VMABAK" serve --control c.sock --nbd unix:n.sock --map z=m x=a.raw y=b.raw
expect_error 2 'has one already' "$VMABAK" serve --control c.sock --nbd unix:n.sock --map m --map x=n x=a.raw
expect_error 2 'nothing changes' "$VMABAK" serve --control c.sock --nbd unix:n.sock --read-only --map m x=a.raw
expect_error 1 'missing.raw' "$VMABAK" serve --control c.sock --nbd unix:n.sock missing.raw
expect_error 1 '--read-only serves others too' "$VMABAK" serve --control c.sock --nbd unix:n.sock x=a.raw,format=qcow2
expect_error 2 'is not a socket' "$VMABAK" serve --control list.json --nbd unix:n.sock a.raw
long=$(printf '%0120d' 0)
expect_error 2 'characters' "$VMABAK" serve --control $long --nbd unix:n.sock a.raw
expect_error 2 'TCP needs TLS: --tls-certificates' "$VMABAK" serve --control c.sock --nbd 127.0.0.1:0 a.raw
# Keys and certificates that are missing are missing files, those that are wrong are wrong.
mkdir pki
echo text >pki/keys
for files in '--tls-psk pki/none' '--tls-certificates pki'; do
	# shellcheck disable=SC2086 # words
	expect_error 1 'No such file' "$VMABAK" serve --control c.sock --nbd 127.0.0.1:0 $files a.raw
done
cp pki/keys pki/server-cert.pem
cp pki/keys pki/server-key.pem
for files in '--tls-psk pki/keys' '--tls-certificates pki'; do
	# shellcheck disable=SC2086 # words
	expect_error 2 'tls: pki/' "$VMABAK" serve --control c.sock --nbd 127.0.0.1:0 $files a.raw
done
rm -r pki
expect_error 2 'tls-certificates' "$VMABAK" serve --control c.sock --nbd unix:n.sock --tls-verify-peer a.raw
# Maps that were opened before something else was refused stay.
rm -f m n
nothing_but a.raw b.raw list.json serve.err
