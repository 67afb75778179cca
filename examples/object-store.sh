#!/bin/sh
# Writes an archive straight into an object store, without a file in between.
#
#   object-store.sh FOLDER NAME DRIVE...     as in: object-store.sh s3:backups/web monday root=web.raw
#
# FOLDER is a path of rclone; all further arguments go to "vmabak backup".
#
# Upload tools take the end of their input for success: exec: ends them before their input ends if the
# backup fails. The object has another name until it has been read back and verified: --quick checks
# every stored byte, which means reading all of it. Restore with
#
#   vmabak restore 'exec:rclone cat FOLDER/NAME.vmab' -C restored
set -eu
umask 077 # files made on this host are as secret as the drives
[ $# -ge 3 ] || { echo "usage: object-store.sh FOLDER NAME DRIVE..." >&2; exit 2; }
object=$1/$2.vmab
shift 2

give_up()
{
	rclone -q deletefile "$object.part" 2>/dev/null || true
	echo "object-store.sh: $object was not stored" >&2
	exit 1
}

if rclone -q lsf "$object" 2>/dev/null | grep -q .; then
	echo "object-store.sh: $object exists already" >&2
	exit 2
fi
export object # for the commands, whatever its name has in it
vmabak backup -o 'exec:rclone -q rcat "$object.part"' "$@" || give_up
vmabak verify --quick 'exec:rclone -q cat "$object.part"' || give_up
rclone -q moveto "$object.part" "$object"
