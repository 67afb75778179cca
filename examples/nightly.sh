#!/bin/sh
# A nightly backup into a folder of chains: what has changed is written and verified, and only then do older archives go.
#
#   nightly.sh MACHINE DAYS ARGUMENT...     as in: nightly.sh web 14 libvirt:web
#
# Archives are in /var/backups/vmabak, or in $VMABAK_FOLDER, which may be s3://BUCKET/PREFIX in an object store, Ceph's for
# instance, whose address and keys are then in AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. All further arguments go to "vmabak backup". After success
# nothing is printed.
#
# The last archive of each of DAYS days stays. Days are counted that have one, so however long backups fail, none is
# removed. A warning (exit code 3) is passed on: the archive is kept, and nothing is removed.
set -eu
umask 077 # archives are as secret as the drives
usage="usage: nightly.sh MACHINE DAYS ARGUMENT..."
machine=${1:?$usage} days=${2:?$usage}
shift 2
case $days in
0* | *[!0-9]*) echo "nightly.sh: DAYS is a number from 1" >&2; exit 2 ;;
esac
folder=${VMABAK_FOLDER:-/var/backups/vmabak}

code=0
summary=$(vmabak backup -q --json --to "$folder" --name "$machine" "$@") || code=$?
[ $code = 0 ] || [ $code = 3 ] || exit $code
archive=$(printf '%s\n' "$summary" | sed -n 's/^  "archive": "\(.*\)",$/\1/p')
vmabak verify -q --quick "$archive"
[ $code = 0 ] || exit $code
vmabak prune -q --name "$machine" --keep-daily "$days" --merge "$folder"
