#!/bin/sh
# Measures backup, restore and verify beside the tools that do similar work.
#
#   tests/bench/bench.sh [--quick] VMABAK
#
# Makes its inputs in $BENCH_DIR (default: ${TMPDIR:-/var/tmp}/vmabak-bench) and keeps them for the
# next run. Everything runs interleaved, in rounds: one that warms up and is not counted, then
# $ROUNDS (5) for ours and the peers that matter most; the other peers run in the first $SLOW_ROUNDS
# (2) of those. What is restored is compared with its source once.
# Peers that are not installed are left out; $VMA names the vma binary of Proxmox, if there is one.
# $GROUPS_ONLY, a list of backup restore check hole half packed pages levels cold latency limits
# chain cache, measures only those. --quick takes small inputs and one round: to try the script, its
# numbers mean nothing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
quick=
if [ "${1:-}" = --quick ]; then
	quick=1
	shift
fi
VMABAK=$(realpath "${1:?usage: tests/bench/bench.sh [--quick] VMABAK}")
[ -x "$VMABAK" ] || { echo "bench: $VMABAK: not a program" >&2; exit 2; }

place=${BENCH_DIR:-${TMPDIR:-/var/tmp}/vmabak-bench}${quick:+-quick}
mkdir -p "$place"
cd "$place"
. "$here/inputs.sh"
. "$here/memory.sh"
check_tools
check_room
trap 'let_go_of_memory; clean_up' EXIT
trap 'exit 130' INT TERM HUP
keep_memory
make_inputs

export VMABAK ROUNDS="${ROUNDS:-${quick:+1}}" SLOW_ROUNDS="${SLOW_ROUNDS:-${quick:+1}}"
/usr/bin/python3 "$here/rounds.py"

# What of the source is in the page cache before and after a backup, cold and warm, in bytes.
page_cache()
{
	printf '\n### The page cache before and after a backup, MiB\n\n'
	printf '| source | source before | source after | archive after |\n|---|---:|---:|---:|\n'
	for state in cold cold--direct warm warm--direct; do
		rm -f out.vmab
		case $state in
		cold*) sync system.raw && dd of=system.raw oflag=nocache conv=notrunc,fdatasync count=0 status=none ;;
		warm*) cat system.raw >/dev/null ;;
		esac
		before=$(cached system.raw)
		"$VMABAK" backup -q $(printf %s "$state" | sed -n 's/.*--/--/p') -o out.vmab disk=system.raw
		echo "| $state | $before | $(cached system.raw) | $(cached out.vmab) of $(($(wc -c <out.vmab) >> 20)) |"
	done
	rm -f out.vmab
}

cached()
{
	echo $(($(fincore -nbo RES "$1") >> 20))
}

wanted()
{
	case " ${GROUPS_ONLY:-$1} " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

if wanted limits; then
	data_bytes=$("$VMABAK" backup -q --json --no-sync --compress none -o out.vmab disk=system.raw |
		/usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["data_bytes"])')
	rm -f out.vmab
	/usr/bin/python3 "$here/limits.py" "$data_bytes" "${ROUNDS:-5}"
fi
if wanted cache; then
	page_cache
fi
