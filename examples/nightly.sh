#!/bin/sh
# A nightly backup: the archive is written and verified, and only then are older ones removed.
#
#   nightly.sh MACHINE KEEP ARGUMENT...     as in: nightly.sh web 14 libvirt:web
#
# The archive is MACHINE-2026-11-30.vmab in /var/backups/vmabak, or in $VMABAK_FOLDER. All further arguments
# go to "vmabak backup". After success nothing is printed.
#
# KEEP archives of this machine stay, this night's included. They are counted, so however long backups
# fail, none is removed. Names have to fit exactly: archives of a machine "web-db" are not those of "web".
# A warning (exit code 3) is passed on: the archive is kept, and nothing is removed.
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
folder=${VMABAK_FOLDER:-/var/backups/vmabak}
archive=$folder/$machine-$(date +%F).vmab

code=0
vmabak backup -q -o "$archive" "$@" || code=$?
[ $code = 0 ] || [ $code = 3 ] || exit $code
vmabak verify -q --quick "$archive"
[ $code = 0 ] || exit $code

# The shell sorts them by date.
set -- "$folder/$machine"-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].vmab
while [ $# -gt "$keep" ]; do
	[ "$1" = "$archive" ] || rm -- "$1"
	shift
done
