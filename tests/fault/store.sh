#!/bin/sh
# Faults of an object store at random: of PERCENT of all requests. Each backup either is whole and reads back byte for byte, or fails
# with exit code 1 and leaves no object; each restore is right, or fails with 1, or 4 where bytes were changed on the way.
#
#   tests/fault/store.sh VMABAK RUNS [PERCENT [SEED]]
set -u
here=$(cd "$(dirname "$0")" && pwd)
vmabak=$(realpath "$1") runs=$2 percent=${3:-25} seed=${4:-1}
work=$(mktemp -d)
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1
export HOME="$work" XDG_STATE_HOME="$work/state" AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=testing-secret AWS_REGION=us-east-1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE AWS_ENDPOINT_URL_S3 http_proxy HTTP_PROXY
head -c 18000000 /dev/urandom >drive.raw

start()
{
	rm -f port
	/usr/bin/python3 "$here/../store/s3server.py" port requests "random:$percent:$1" 2>/dev/null &
	server=$!
	until [ -s port ]; do sleep 0.05; done
	port=$(cat port)
	export AWS_ENDPOINT_URL="http://127.0.0.1:$port"
}
tell()
{
	/usr/bin/python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())' \
		"http://127.0.0.1:$port/-/$1"
}
wrong()
{
	echo "WRONG: run $run of seed $seed: $*: $(cat err)"
	n_wrong=$((n_wrong + 1))
}

n_wrong=0 n_whole=0 n_failed=0 n_read=0 n_unread=0 run=0
: >requests
while [ $run -lt "$runs" ]; do
	run=$((run + 1))
	start "$seed-$run"
	timeout 300 "$vmabak" backup -q -o s3://backups/a.vmab root=drive.raw 2>err
	code=$?
	has=$(tell objects)
	case "$code $has" in
	'0 {"/backups/a.vmab":'*) n_whole=$((n_whole + 1)) ;;
	'1 {}') n_failed=$((n_failed + 1)) ;;
	*) wrong "backup: exit code $code, the store has $has" ;;
	esac
	if [ $code = 0 ]; then
		timeout 300 "$vmabak" restore -q s3://backups/a.vmab --force -d root=restored.raw 2>err
		code=$?
		case $code in
		0) if cmp -s drive.raw restored.raw; then n_read=$((n_read + 1)); else wrong "restore: other bytes"; fi ;;
		1 | 4) n_unread=$((n_unread + 1)) ;;
		*) wrong "restore: exit code $code" ;;
		esac
	fi
	kill $server
	wait $server 2>/dev/null
done
n=$(grep -cE ' (500|503|drop|cut|wrong|whole|late|error200|403)$' requests)
echo "$n faults in $(wc -l <requests) requests: $n_whole backups whole, $n_failed failed; $n_read restores right, $n_unread failed"
echo "$((runs - n_wrong)) passed, $n_wrong failed"
[ $n_wrong = 0 ]
