#!/bin/sh
# Tapes, with the kernel's st and a drive in user space behind it, in a guest.
#
#   tests/lab/tape.sh [VMABAK]
[ $# = 0 ] || export VMABAK="$(realpath "$1")"
. "$(dirname "$0")/../cli/lib.sh"
. "$SRC/tests/lab/lab.sh"

need "${CC:-cc}"
begin_lab
add_modules configfs scsi_common scsi_mod uio target_core_mod target_core_user tcm_loop st
"${CC:-cc}" -std=c11 -O1 -static -o "$lib_root/bin/tape_drive" "$SRC/tests/lab/tape_drive.c"
cp "$SRC/tests/lab/tape-guest" "$lib_root/lab/tape"
cp "$SRC/examples/tape.sh" "$lib_root/lab/example"
run_lab tape 1800
