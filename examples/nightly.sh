#!/bin/sh
# A nightly backup: the archive is written and verified, and only then are older ones removed.
#
#   nightly.sh MACHINE KEEP ARGUMENT...     as in: nightly.sh web 14 libvirt:web
#
# The archive is MACHINE-2026-11-30.vmab in /var/backups/vmabak, or in $VMABAK_FOLDER. All further arguments
# go to "vmabak backup", except --parent: keeping a number of archives would remove the parents of others. After
# success nothing is printed.
#
# KEEP archives of this machine stay, this night's included. They are counted, so however long backups
# fail, none is removed. Names have to fit exactly: archives of a machine "web-db" are not those of "web".
# A warning (exit code 3) is passed on: the archive is kept, and nothing is removed.
#
# A run that was killed leaves .MACHINE-2026-11-30.vmab.XXXXXX.part behind; it is removed if nothing has been
# written to it for a day.
set -eu
umask 077 # archives are as secret as the drives
usage="usage: nightly.sh MACHINE KEEP ARGUMENT..."
machine=${1:?$usage} keep=${2:?$usage}
shift 2
case $machine in
*[!A-Za-z0-9._-]*) echo "nightly.sh: $machine: only letters, digits and ._- may be in a name" >&2; exit 2 ;;
esac
case $keep in
0* | *[!0-9]*) echo "nightly.sh: KEEP is a number from 1" >&2; exit 2 ;;
esac
for argument; do
	case $argument in
	--pa*) echo "nightly.sh: --parent: this script would remove archives that others need" >&2; exit 2 ;;
	esac
done
folder=${VMABAK_FOLDER:-/var/backups/vmabak}
archive=$folder/$machine-$(date +%F).vmab
day=[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]

find "$folder" -maxdepth 1 -type f -name ".$machine-$day.vmab.??????.part" -mmin +1440 -delete
code=0
vmabak backup -q -o "$archive" "$@" || code=$?
[ $code = 0 ] || [ $code = 3 ] || exit $code
vmabak verify -q --quick "$archive"
[ $code = 0 ] || exit $code

# The shell sorts them by date.
# shellcheck disable=SC2086 # a pattern
set -- "$folder/$machine"-$day.vmab
while [ $# -gt "$keep" ]; do
	[ "$1" = "$archive" ] || rm -- "$1"
	shift
done
