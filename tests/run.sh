#!/bin/sh
# Every test, and a count at the end. Called by make, so that $MAKE is there.
#
#   tests/run.sh [--vectors FOLDER]    archives made by the genuine tool, when there are any
#
# The tests of the command line mostly wait, so what works for the processor runs beside them, in two lanes: one alone
# leaves a processor idle once the command line is done. What measures time runs alone, at the end.
set -u
cd "$(dirname "$0")/.."
make="${MAKE:-make} -j$(getconf _NPROCESSORS_ONLN) --no-print-directory"
vectors=${VMABAK_VECTORS:-../shared/vectors}
[ "${1:-}" != --vectors ] || vectors=$2

# step NAME COMMAND...: what it said is shown when it fails, without what was compiled. Those who see only the last 40
# lines find the last of it again there, and what failed by name. "skipped" lines are shown always. A step whose last
# line is "N passed, N failed[, N skipped]" counts for itself, any other as one.
step()
{
	name=$1 log=$(mktemp "$results/log.XXXXXX") begin=$(date +%s) code=0
	shift
	times >"$log.times"
	"$@" >"$log" 2>&1 || code=$?
	times >>"$log.times"
	line=$(tail -n 1 "$log" | grep -aE '^[0-9]+ passed, [0-9]+ failed') || line=
	told=$name${line:+: $line}
	[ -n "$line" ] || line="$((code == 0)) passed, $((code != 0)) failed"
	case "$code $line" in
	0*' 0 failed'*) ;;
	*' 0 failed'*) line="$line, 1 failed" code=1 ;;
	*) code=1 ;;
	esac
	echo "$line" >>"$results/counts"
	{
		if [ "$code" = 0 ]; then
			echo "ok       $told ($(($(date +%s) - begin)) s, $(tests/processor.sh <"$log.times") of processor)"
			grep -aiE '^ *skipped' "$log" | sed 's/^/         /'
			sed -n '/^unsteady /,$p' "$log" | sed '$d' | cut -c 1-300 | sed 's/^/         /'
		else
			echo "FAILED   $told"
			grep -avE '^  (CC|AR|LD) ' "$log" | sed 's/^/    | /'
			{
				echo "FAILED   $told"
				grep -avE '^  (CC|AR|LD) ' "$log" | tail -n 32 | cut -c 1-300 | sed 's/^/    | /'
			} >>"$results/failures"
			{
				echo "FAILED   $told"
				grep -a '^FAILED' "$log" | sort -u | tail -n 20 | cut -c 1-300 | sed 's/^/    /'
			} >>"$results/failed"
		fi
	} >"$log.told"
	cat "$log.told"
}

# The sum of the numbers before a word in the counts.
sum()
{
	grep -oE "[0-9]+ $1" "$results/counts" | awk '{ n += $1 } END { print n + 0 }'
}

# Lanes: each builds in a folder of its own, or nothing.

# What mostly waits.
waiting()
{
	step "command line" tests/cli/run.sh --together build/release/vmabak
}

asan()
{
	step "unit tests, address and undefined-behaviour sanitizers" $make VARIANT=asan unit
	step "some small archives, address and undefined-behaviour sanitizers" $make VARIANT=asan mutation-short
	step "fuzz targets over what they begin with" $make VARIANT=asan fuzz-replay
}

tsan()
{
	step "unit tests, thread sanitizer" $make VARIANT=tsan unit
}

release()
{
	step "unit tests" $make unit
	step "every bit and every length of small archives" $make mutation-short
	step "calls that fail" $make faults
	step "kills" $make kills
}

scripts()
{
	step "archives described as text" /usr/bin/python3 tests/images/check.py --vmabak build/release/vmabak
	step "change lists described as text" /usr/bin/python3 tests/changes/check.py --vmabak build/release/vmabak
	step "genuine archives" /usr/bin/python3 tests/images/vectors.py "$vectors" --vmabak build/release/vmabak
	step "man pages" tests/man.sh build/release/vmabak
	step "examples" tests/examples.sh build/release/vmabak
}

# A process of its own, so that it gets signals as any other: what a shell has in the background ignores ^C.
if [ "${1:-}" = --lane ]; then
	"$2"
	exit 0
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
: >"$results/counts"
: >"$results/failures"
VMABAK_VECTORS=$vectors
export results VMABAK_VECTORS
began=$(date +%s)
step "build" $make all live-tools build/release/nbd-serve build/release/fault.so
step "nothing in the root that does not belong there" tests/root.sh
step "arrows" $make arrows
step "arrows are seen that point up" $make arrows-self-test
step "audit-size" $make audit-size
# The longest first.
printf '%s\n' waiting asan release tsan scripts | xargs -P 3 -n 1 sh tests/run.sh --lane
step "command line, what measures time" tests/cli/run.sh --alone build/release/vmabak

echo
failed=$(sum failed)
[ "$failed" = 0 ] || cat "$results/failures" "$results/failed"
echo "$(($(date +%s) - began)) s"
echo "$(sum passed) passed, $failed failed, $(sum skipped) skipped"
[ "$failed" = 0 ]
