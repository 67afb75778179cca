#!/bin/sh
# The model of chains (tests/cli/chain-model.sh) in its long form: STEPS random steps in seeds of 400 steps, by turns on xfs
# and btrfs, where files can share blocks, and where it is; a failure tells the seed.
#
#   tests/chains.sh VMABAK STEPS
set -eu
here=$(cd "$(dirname "$0")" && pwd)
vmabak=$(readlink -f "$1") left=$2
each=400
PATH=$PATH:/usr/sbin:/sbin
folder=$(mktemp -d "${TMPDIR:-/tmp}/vmabak chains.XXXXXX")
trap 'umount "$folder/at" 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
SRC=$(cd "$here/.." && pwd)
PYTHONDONTWRITEBYTECODE=1
export SRC PYTHONDONTWRITEBYTECODE
mkdir "$folder/at"

# on KIND: whether $folder/at is a file system of that kind now.
on()
{
	[ "$(id -u)" = 0 ] && truncate -s 1500M "$folder/disk" && "mkfs.$1" -q -f "$folder/disk" >/dev/null 2>&1 &&
		mount -o loop "$folder/disk" "$folder/at" 2>/dev/null
}

n=0
while [ "$left" -gt 0 ]; do
	steps=$((left < each ? left : each))
	left=$((left - steps)) n=$((n + 1))
	seed=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
	case $((n % 3)) in
	0) kind= ;;
	1) kind=xfs ;;
	2) kind=btrfs ;;
	esac
	[ -z "$kind" ] || on $kind || kind=
	mkdir "$folder/at/work"
	(cd "$folder/at/work" && /usr/bin/python3 "$here/cli/chain_model.py" "$vmabak" "$seed" $steps) >"$folder/said" 2>&1 || {
		cat "$folder/said"
		echo "FAILED with VMABAK_SEED=$seed VMABAK_STEPS=$steps${kind:+, on $kind}"
		exit 1
	}
	echo "$(cat "$folder/said")${kind:+, on $kind}"
	rm -rf "$folder/at/work"
	[ -z "$kind" ] || umount "$folder/at"
	rm -f "$folder/disk"
done
echo "$2 steps in all, none wrong"
