#!/bin/sh
# What is tested with each store: see check.sh.
#
#   VMABAK=... tests/stores/suite.sh ceph|swift PORT
. "$(dirname "$0")/../cli/lib.sh"
store=$1 port=$2

unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE AWS_ENDPOINT_URL_S3 AWS_DEFAULT_REGION http_proxy HTTP_PROXY
export HOME="$PWD" XDG_STATE_HOME="$PWD/state" AWS_ENDPOINT_URL="http://127.0.0.1:$port"
case $store in
ceph) export AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=testing-secret AWS_REGION=default ;;
swift) export AWS_ACCESS_KEY_ID=test:tester AWS_SECRET_ACCESS_KEY=testing AWS_REGION=us-east-1 ;;
esac

# curl_signed PATH CURL-OPTION...
curl_signed()
{
	what=$1
	shift
	# --user would take a colon in the name for its end
	curl -sf --noproxy '*' --aws-sigv4 "aws:amz:$AWS_REGION:s3" "$@" \
		-H "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" \
		--retry 9 --retry-all-errors "http://$(echo "$AWS_ACCESS_KEY_ID" | sed 's/:/%3A/'):$AWS_SECRET_ACCESS_KEY@127.0.0.1:$port/$what"
}
# put BUCKET[/KEY] [CURL-OPTION...]
put()
{
	curl_signed "$@" -X PUT >/dev/null || fail "putting $1"
}
# get BUCKET/KEY FILE
get()
{
	curl_signed "$1" -o "$2" || fail "getting $1"
}
n_passed=0
passed()
{
	n_passed=$((n_passed + 1))
	echo "$store: $* passed"
}

put backups
for part in "$(dirname "$0")"/suite-*.sh; do
	. "$part"
done
echo "$store: $n_passed groups passed"
