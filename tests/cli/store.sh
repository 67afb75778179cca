# For tests of object stores, sourced after lib.sh. (No hyphen: not a test.)
need_python

# store FAULT...: $port, and what AWS's tools take from the environment
store()
{
	rm -f port
	/usr/bin/python3 "$SRC/tests/store/s3server.py" port requests "$@" 2>server.err &
	store_pid=$!
	on_exit "kill $store_pid 2>/dev/null"
	wait_until [ -s port ]
	port=$(cat port)
	export AWS_ENDPOINT_URL="http://127.0.0.1:$port"
}
end_store()
{
	kill $store_pid
	wait $store_pid 2>/dev/null || :
}
tell()
{
	/usr/bin/python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' \
		"http://127.0.0.1:$port/-/$1"
}
# objects TEXT: what the store has, as JSON
objects()
{
	[ "$(tell objects)" = "$1" ] || fail "the store has $(tell objects), not $1"
}
no_uploads()
{
	[ "$(tell uploads)" = 0 ] || fail "parts of uploads are left"
}

unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE AWS_ENDPOINT_URL_S3 AWS_DEFAULT_REGION http_proxy HTTP_PROXY
export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=testing-secret AWS_REGION=us-east-1
export HOME="$PWD" XDG_STATE_HOME="$PWD/state"
