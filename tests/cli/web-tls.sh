# https://...: a server is believed when its certificate is for its name, from an authority that is trusted, and of today.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/web.sh"
need certtool

make_random drive.raw 3000000 1
mkdir www pki
expect_code 0 "$VMABAK" backup -o www/a.vmab root=drive.raw
# authority NAME
authority()
{
	printf 'cn = "%s"\nca\ncert_signing_key\nexpiration_days = 2\n' "$1" >pki/template
	certtool --generate-privkey --key-type=ecdsa --outfile "pki/$1.key" 2>/dev/null
	certtool --generate-self-signed --load-privkey "pki/$1.key" --template pki/template --outfile "pki/$1.crt" 2>/dev/null
}
# server NAME AUTHORITY LINE...: NAME.pem, with the lines in its template
server()
{
	server=$1 authority=$2
	shift 2
	printf '%s\n' 'cn = "server"' tls_www_server signing_key "$@" >pki/template
	certtool --generate-privkey --key-type=ecdsa --outfile pki/key 2>/dev/null
	certtool --generate-certificate --load-ca-certificate "pki/$authority.crt" --load-ca-privkey "pki/$authority.key" \
		--load-privkey pki/key --template pki/template --outfile pki/crt 2>/dev/null
	cat pki/crt pki/key >"$server.pem"
}
authority ours
authority theirs
server good ours 'ip_address = 127.0.0.1' 'expiration_days = 2'
server stranger theirs 'ip_address = 127.0.0.1' 'expiration_days = 2'
server other ours 'dns_name = elsewhere.example' 'expiration_days = 2'
server old ours 'ip_address = 127.0.0.1' 'activation_date = "2020-01-01 00:00:00"' 'expiration_date = "2020-02-01 00:00:00"'

# reads CODE CERTIFICATE TEXT: at $url
reads()
{
	web "tls=$2.pem"
	url=https://127.0.0.1:$port
	: >requests
	expect_code "$1" "$VMABAK" restore --force "$url/a.vmab" -C restored
	expect_text "$err" "$3"
	[ "$1" = 0 ] || [ ! -s requests ] || fail "asked a server that is not believed: $(cat requests)"
	end_web
}
# Nobody trusts that authority by itself.
reads 1 good 'a.vmab: '
expect_text "$err" certificate
CURL_CA_BUNDLE=$PWD/pki/ours.crt
export CURL_CA_BUNDLE
reads 0 good 'restored in '
same_file drive.raw restored/root.raw
for wrong in stranger other old; do
	reads 1 $wrong 'a.vmab: '
	expect_text "$err" SSL
done
CURL_CA_BUNDLE=$PWD/none
reads 1 good none

# A redirection to a server without TLS is not followed.
CURL_CA_BUNDLE=$PWD/pki/ours.crt
web
plain=$url plain_pid=$web_pid
web tls=good.pem "away=$plain"
: >requests
expect_error 1 'a.vmab: ' "$VMABAK" list "https://127.0.0.1:$port/a.vmab"
[ "$(grep -c . requests)" = 1 ] || fail "followed: $(cat requests)"
end_web
kill "$plain_pid"
