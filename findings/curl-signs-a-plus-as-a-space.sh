#!/bin/sh
# Commonly believed: what `curl --aws-sigv4` sends is what it has signed, so a store that checks the signature by the
# published rules accepts any request whose query is encoded by the book.
#
# True: curl 8.14.1 takes the query apart and encodes it anew before it signs it, and takes an encoded plus sign (%2B)
# for a space on the way: it signs %20, and sends %2B as it was given. A store computes the signature of the plus sign
# and refuses the request. So a listing with a prefix that has a plus sign, which nothing but its name distinguishes
# from others, ends with "SignatureDoesNotMatch". Other bytes that have to be encoded (space, slash, ampersand, percent
# sign) are signed as they are sent, and curl 7.88.1 signs the plus sign right, too, so that programs tried with that
# one break when the library is renewed.
#
# Seen with curl 8.14.1-2+deb13u7 of Debian 13:
#     p=a%20b: the signature is that of p=a%20b
#     p=a%2Fb: the signature is that of p=a%2Fb
#     p=a%2Bb: the signature is that of p=a%20b
#
# Exit status: 0 if this is how it behaves, 1 if the behaviour has changed, 2 if it could not be tried.
set -eu

stop()
{
	echo "curl-signs-a-plus-as-a-space: $2" >&2
	exit "$1"
}

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill $server 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 2' HUP INT TERM
cd "$folder"

# Debian 13, whatever this system is, with all that curl needs: an apt that believes nothing to be installed.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' 'Origin: Debian' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || stop 2 "apt knows no mirror of Debian"
mkdir -p apt/lists/partial apt/archives/partial
: >apt/status
echo "deb $mirror trixie main" >apt/sources.list
cat >apt/apt.conf <<'END'
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Dir::Etc::sourceparts "/dev/null";
END
for setting in Dir::Etc::sourcelist=sources.list Dir::State::lists=lists Dir::State::status=status \
	Dir::Cache::archives=archives Dir::Cache::pkgcache=pkg.bin Dir::Cache::srcpkgcache=src.bin; do
	echo "${setting%%=*} \"$folder/apt/${setting#*=}\";" >>apt/apt.conf
done
export APT_CONFIG="$folder/apt/apt.conf"
{ apt-get -qq update && apt-get -qq -y --download-only install curl=8.14.1-2+deb13u7 libcurl4t64=8.14.1-2+deb13u7; } \
	>apt.log 2>&1 || stop 2 "cannot download the packages: $(tail -n 3 apt.log)"
for package in apt/archives/*.deb; do
	dpkg -x "$package" root || stop 2 "cannot unpack $package"
done

# Everything of it lies in the folder, the C library too.
run_curl()
{
	libraries=$folder/root/usr/lib/x86_64-linux-gnu
	"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries" "$folder/root/usr/bin/curl" "$@"
}
run_curl --version >version 2>&1 || stop 2 "curl does not run: $(cat version)"

# Says of each request which of several queries its signature belongs to.
cat >server.py <<'END'
import hashlib, hmac, http.server, re

def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()

class Handler(http.server.BaseHTTPRequestHandler):
    def signature(self, query, names, scope):
        headers = "".join(f"{name}:{(self.headers[name] or '').strip()}\n" for name in names.split(";"))
        body = self.headers["x-amz-content-sha256"] or sha("")
        request = "\n".join(["GET", self.path.partition("?")[0], query, headers, names, body])
        text = "\n".join(["AWS4-HMAC-SHA256", self.headers["X-Amz-Date"], scope, sha(request)])
        key = b"AWS4secret"
        for part in scope.split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def do_GET(self):
        found = re.search(r"Credential=key/([^,]*), ?SignedHeaders=([^,]*), ?Signature=(\w+)", self.headers["Authorization"])
        scope, names, given = found.groups()
        sent = self.path.partition("?")[2]
        fits = [query for query in ("p=a%20b", "p=a%2Fb", "p=a%2Bb") if self.signature(query, names, scope) == given]
        answer = f"{sent}: the signature is that of {' and '.join(fits) or 'none'}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *ignored):
        pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as file:
    file.write(str(server.server_port))
import os
os.rename("port.new", "port")
server.serve_forever()
END
/usr/bin/python3 server.py &
server=$!
tries=0
until [ -e port ]; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || stop 2 "the server does not come up"
	sleep 0.1
done

for query in p=a%20b p=a%2Fb p=a%2Bb; do
	run_curl -sS --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 --user key:secret "http://127.0.0.1:$(cat port)/bucket?$query" ||
		stop 2 "no answer to $query"
done >seen
cat seen
cat >believed <<'END'
p=a%20b: the signature is that of p=a%20b
p=a%2Fb: the signature is that of p=a%2Fb
END
head -n 2 seen | cmp -s - believed || stop 1 "what has no plus sign is signed otherwise than it is sent, too"
[ "$(tail -n 1 seen)" = 'p=a%2Bb: the signature is that of p=a%20b' ] || stop 1 "the plus sign is not signed as a space"
