#!/bin/sh
# Shows where the time of backup, restore and verify goes, on the system image of bench.sh.
#
#   tests/bench/profile.sh [--quick] [--callgrind] VMABAK
#
# With perf where it works, else, or when asked to, with callgrind on a small image. Prints how the
# time divides into user and system, into libraries, and the 15 symbols with the largest shares;
# a library without symbols counts as one. The folder is that of bench.sh, $BENCH_DIR.
set -eu
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
quick= callgrind=
while :; do
	case ${1:-} in
	--quick) quick=1 ;;
	--callgrind) callgrind=1 quick=1 ;;
	*) break ;;
	esac
	shift
done
program=$(realpath "${1:?usage: tests/bench/profile.sh [--quick] [--callgrind] VMABAK}")

place=${BENCH_DIR:-${TMPDIR:-/var/tmp}/vmabak-bench}
mkdir -p "$place"
if ! perf record -q -e cpu-clock -o "$place/new.perf" true >/dev/null 2>&1; then
	command -v valgrind >/dev/null || { echo "profile: neither perf nor valgrind works" >&2; exit 1; }
	callgrind=1 quick=1
fi
rm -f "$place/new.perf"
place=$place${quick:+-quick}
mkdir -p "$place"
cd "$place"
. "$here/inputs.sh"
check_tools
check_room
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
make_system

# A line of perf report is SHARE% LIBRARY [k|.] SYMBOL; what has no name is an address.
symbols()
{
	perf report -i out.perf --stdio --no-children -g none --sort dso,symbol 2>/dev/null |
		awk '$1 ~ /^[0-9.]+%$/ {
			share = $1 + 0
			library = $2 ~ /kernel/ ? "kernel" : $2
			if ($4 ~ /^0x/)
				name = library " (without symbols)"
			else {
				name = $4
				for (i = 5; i <= NF; i++)
					name = name " " $i
				sub(/( -)+ *$/, "", name)
				name = library "  " name
			}
			shares[name] += share
			libraries[library] += share
		}
		END {
			for (name in libraries)
				printf "library %.2f %s\n", libraries[name], name
			for (name in shares)
				printf "symbol %.2f %s\n", shares[name], name
		}' >out.shares
	for kind in library symbol; do
		echo "by $kind:"
		sed -n "s/^$kind //p" out.shares | sort -rn | head -n 15 | sed 's/^\([0-9.]*\)/  \1 %/'
	done
}

with_perf()
{
	perf stat -e task-clock -o out.stat "$@"
	rm -f out.raw
	sed -n 's/^ *\([0-9.]*\) seconds \(.*\)/\2: \1 s/p' out.stat
	perf record -q -e cpu-clock -F 999 -o out.perf "$@"
	symbols
}

with_callgrind()
{
	valgrind -q --tool=callgrind --callgrind-out-file=out.callgrind "$@"
	echo "instructions, in user mode only:"
	callgrind_annotate out.callgrind | sed -n '/^Ir/,$p' | head -n 21
}

# NAME COMMAND...
profile()
{
	printf '\n## %s\n\n' "$1"
	shift
	"$@" # once before, to warm up
	rm -f out.raw
	if [ -n "$callgrind" ]; then
		with_callgrind "$@"
	else
		with_perf "$@"
	fi
}

options='-q --no-sync --force'
cat system.raw >/dev/null
profile 'backup, zstd level 1' "$program" backup $options -o out.vmab disk=system.raw
profile 'backup, none' "$program" backup $options --compress none -o out.none.vmab disk=system.raw
rm -f out.none.vmab
cat out.vmab >/dev/null
profile 'restore, zstd' "$program" restore $options out.vmab -d disk=out.raw
rm -f out.raw
profile 'verify, zstd' "$program" verify -q out.vmab
