#!/bin/sh
# The long forms of the tests of a running QEMU: more backups of one that is written to, more kills.
#
#   tests/qemu/check.sh [BACKUPS [KILLS [VMABAK]]]    (100, 20, build/release/vmabak)
set -u
here=$(cd "$(dirname "$0")" && pwd)
VMABAK_LIVE=${1:-100} VMABAK_KILLS=${2:-20} LIBVIRT_BACKUPS=$(((${1:-100} + 9) / 10))
VMABAK=$(realpath "${3:-$here/../../build/release/vmabak}") || exit 1
export VMABAK VMABAK_LIVE VMABAK_KILLS LIBVIRT_BACKUPS
failed=0
for test in "$here"/../cli/qemu-*.sh "$here"/../cli/libvirt-*.sh "$here"/../cli/nbd-[dtf]*.sh "$here"/../cli/restore-into-images.sh; do
	name=$(basename "$test" .sh)
	begin=$(date +%s)
	code=0
	said=$(sh "$test" 2>&1 </dev/null) || code=$?
	case $code in
	0) echo "ok       $name ($(($(date +%s) - begin)) s)" ;;
	77) echo "skipped  $name: $(echo "$said" | sed -n 's/^skipped: //p' | tail -n 1)" ;;
	*)
		failed=$((failed + 1))
		echo "FAILED   $name"
		echo "$said" | sed 's/^/    | /'
		;;
	esac
done
echo "$failed failed; $VMABAK_LIVE backups of what is written to, $VMABAK_KILLS kills, $LIBVIRT_BACKUPS backups of a domain of libvirt"
[ $failed = 0 ]
