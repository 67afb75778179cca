#!/bin/sh
# An archive on a tape: written, read back and verified; or restored.
#
#   tape.sh write DRIVE...        all arguments go to "vmabak backup"
#   tape.sh verify
#   tape.sh restore ARGUMENT...   all arguments go to "vmabak restore"
#
# TAPE names the drive, in its form that does not rewind. A plain file will do for a trial.
#
# TAPE_NEXT is a command that puts the next tape into the drive when the archive needs several; without it
# vmabak asks at the terminal. For two tapes in slots 1 and 2 of a changer:
#
#   TAPE_NEXT='mt -f "$VMABAK_TAPE" offline && mtx -f /dev/sch0 unload && mtx -f /dev/sch0 load "$VMABAK_VOLUME"'
#
# Every record on the tape has the same size, and the last one is padded with zeros; vmabak recognises
# that padding, and reads records of any size. What was on the tapes is overwritten.
set -eu
umask 077 # files made on this host are as secret as the drives
tape=${TAPE:-/dev/nst0}
next=${TAPE_NEXT:-}
record=256k # for vmabak and for mbuffer
memory=${TAPE_MEMORY:-256M}

rewind()
{
	[ ! -c "$tape" ] || mt -f "$tape" rewind
}

# The first tape again, after the last one was read or written.
first_tape()
{
	if [ -n "$next" ]; then
		VMABAK_TAPE=$tape VMABAK_VOLUME=1 VMABAK_USE=read sh -c "$next" </dev/null
	fi
	rewind
}

# mbuffer starts when its memory is 90 % full, and so keeps the tape running, but it cannot go on to another
# tape; without it vmabak makes the records itself. A pipe hides the exit code of its first command: an archive that was cut short
# is noticed when it is read back, because its tail is missing.
write_tape()
{
	if [ -z "$next" ] && command -v mbuffer >/dev/null; then
		vmabak backup -o - --format vmab --record-size $record "$@" |
			mbuffer -q -s $record -m "$memory" -P 90 -f -o "$tape"
	else
		vmabak backup -o "$tape" --format vmab --force --record-size $record ${next:+--next-volume "$next"} "$@"
	fi
}

action=${1:?"usage: tape.sh write DRIVE... | verify | restore ARGUMENT..."}
shift
case $action in
write)
	first_tape
	write_tape "$@"
	first_tape
	vmabak verify ${next:+--next-volume "$next"} "$tape"
	;;
verify)
	first_tape
	vmabak verify ${next:+--next-volume "$next"} "$tape"
	;;
restore)
	first_tape
	vmabak restore ${next:+--next-volume "$next"} "$tape" "$@"
	;;
*)
	echo "tape.sh: no action $action" >&2
	exit 2
	;;
esac
