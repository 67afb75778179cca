#!/bin/sh
# An archive on a tape: written, read back and verified; or restored.
#
#   tape.sh write DRIVE...        all arguments go to "vmabak backup"
#   tape.sh verify
#   tape.sh restore ARGUMENT...   all arguments go to "vmabak restore"
#
# TAPE names the drive, in its form that does not rewind. A plain file will do for a trial.
#
# Every record on the tape has the same size, and the last one is padded with zeros; vmabak recognises
# that padding, and reads records of any size.
set -eu
umask 077 # files made on this host are as secret as the drives
tape=${TAPE:-/dev/nst0}
record=256k # for vmabak and for mbuffer
memory=${TAPE_MEMORY:-256M}

rewind()
{
	[ ! -c "$tape" ] || mt -f "$tape" rewind
}

# mbuffer starts when its memory is 90 % full, and so keeps the tape running; without it vmabak makes
# the records itself. A pipe hides the exit code of its first command: an archive that was cut short
# is noticed when it is read back, because its tail is missing.
write_tape()
{
	if command -v mbuffer >/dev/null; then
		vmabak backup -o - --format vmab --record-size $record "$@" |
			mbuffer -q -s $record -m "$memory" -P 90 -f -o "$tape"
	else
		vmabak backup -o "$tape" --format vmab --force --record-size $record "$@"
	fi
}

action=${1:?"usage: tape.sh write DRIVE... | verify | restore ARGUMENT..."}
shift
case $action in
write)
	rewind
	write_tape "$@"
	rewind
	vmabak verify "$tape"
	;;
verify)
	rewind
	vmabak verify "$tape"
	;;
restore)
	rewind
	vmabak restore "$tape" "$@"
	;;
*)
	echo "tape.sh: no action $action" >&2
	exit 2
	;;
esac
