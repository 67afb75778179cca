# For tests of web servers, sourced after lib.sh. (No hyphen: not a test.)
need_python

# web FAULT...: a server of the folder www; $url
web()
{
	mkdir -p www
	rm -f port
	/usr/bin/python3 "$SRC/tests/store/webserver.py" port requests www "$@" 2>server.err &
	web_pid=$!
	on_exit "kill $web_pid 2>/dev/null"
	wait_until [ -s port ]
	port=$(cat port)
	url=http://127.0.0.1:$port
	: >requests
}
end_web()
{
	kill $web_pid
	wait $web_pid 2>/dev/null || :
}
# ask WHAT: taken, most, requests
ask()
{
	/usr/bin/python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url/-/$1"
}

unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY CURL_CA_BUNDLE AWS_CA_BUNDLE
export HOME="$PWD"
# Tests do not wait for servers to recover.
export VMABAK_RETRY_MS=5 VMABAK_STALL_S=3
