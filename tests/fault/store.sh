#!/bin/sh
# Faults of an object store at random: of PERCENT of all requests, until there were FAULTS of them. Each backup either is whole and reads
# back byte for byte, or fails with exit code 1 and leaves no object; each restore is right, or fails with 1, or 4 where bytes were changed
# on the way; none takes longer than LIMIT.
#
#   tests/fault/store.sh VMABAK FAULTS [PERCENT [SEED [WORKERS]]]
#
# The issue of a run depends on its seed and on the order in which requests come, so that a run can be repeated only nearly.
set -u
here=$(cd "$(dirname "$0")" && pwd)
vmabak=$(realpath "$1") faults=$2 percent=${3:-25} seed=${4:-1} workers=${5:-1}
LIMIT=900
work=$(mktemp -d)
trap 'trap - EXIT; kill $pids 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 1
export HOME="$work" AWS_ACCESS_KEY_ID=tester AWS_SECRET_ACCESS_KEY=testing-secret AWS_REGION=us-east-1
unset AWS_PROFILE AWS_SESSION_TOKEN AWS_CA_BUNDLE AWS_ENDPOINT_URL_S3 http_proxy HTTP_PROXY
head -c 18000000 /dev/urandom >drive.raw

tell()
{
	curl -s --noproxy '*' "$AWS_ENDPOINT_URL/-/$1"
}
wrong()
{
	echo "WRONG: run $run of seed $seed, worker $1: $2: $(cat err)" | tee -a wrong
}
# Whether another one is to come: so many faults were had by this worker.
more()
{
	[ "$(tell faults)" -lt $((faults / workers + 1)) ] && kill -0 $$ 2>/dev/null
}
restore()
{
	timeout $LIMIT "$vmabak" restore -q s3://backups/a.vmab --force -d root=restored.raw 2>err
	code=$?
	case $code in
	0) if cmp -s ../drive.raw restored.raw; then echo read; else wrong "$1" "restore: other bytes"; fi ;;
	1 | 4) echo unread ;;
	*) wrong "$1" "restore: exit code $code" ;;
	esac
}
one()
{
	tell "anew?$seed-$1-$run" >anew
	timeout $LIMIT "$vmabak" backup -q -o s3://backups/a.vmab root=../drive.raw 2>err
	code=$?
	has=$(tell objects)
	case "$code $has" in
	'0 {"/backups/a.vmab":'*) echo whole; restore "$1" ;;
	'1 {}') echo failed ;;
	*) wrong "$1" "backup: exit code $code, the store has $has" ;;
	esac
}
worker()
{
	mkdir "$1"
	cd "$1" || exit 1
	export XDG_STATE_HOME="$work/$1/state"
	/usr/bin/python3 "$here/../store/s3server.py" port requests "random:$percent:$seed" 2>/dev/null &
	server=$!
	trap 'kill $server; exit' TERM
	until [ -s port ]; do sleep 0.1; done
	export AWS_ENDPOINT_URL="http://127.0.0.1:$(cat port)"
	run=0
	: >wrong
	: >requests
	while more; do
		run=$((run + 1))
		one "$1" >>ends
	done
	kill $server
}
count()
{
	cat ./*/ends | grep -cx "$1"
}

pids='' i=0
while [ $i -lt "$workers" ]; do
	i=$((i + 1))
	worker $i &
	pids="$pids $!"
done
wait
pids=''
n=$(cat ./*/requests | grep -cE ' (500|503|drop|stall|cut|wrong|whole|late|error200|403|pause|digest|tag)$')
echo "$n faults in $(cat ./*/requests | wc -l) requests: $(count whole) backups whole, $(count failed) failed;" \
	"$(count read) restores right, $(count unread) failed"
cat ./*/requests | grep -oE ' [a-z0-9]+$' | sort | uniq -c | awk '{ printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2 } END { print "" }'
n_wrong=$(cat ./*/wrong | wc -l)
cat ./*/wrong
echo "$n_wrong wrong"
[ "$n_wrong" = 0 ]
