#!/bin/sh
# Every test, and a count at the end. Called by make, so that $MAKE is there.
#
#   tests/run.sh [--vectors FOLDER]    archives made by the genuine tool, when there are any
set -u
cd "$(dirname "$0")/.."
MAKE="${MAKE:-make} -j$(getconf _NPROCESSORS_ONLN)"
vectors=${VMABAK_VECTORS:-../shared/vectors}
[ "${1:-}" != --vectors ] || vectors=$2
passed=0 failed=0 skipped=0
log=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT

# What a step that failed said, without what was compiled; and the last of it again at the very end,
# for those who see only the end.
failure()
{
	echo "FAILED   $1"
	grep -vE '^  (CC|AR|LD) ' "$log" | sed 's/^/    | /'
	{
		echo "FAILED   $1"
		grep -vE '^  (CC|AR|LD) ' "$log" | tail -n 40 | cut -c 1-300 | sed 's/^/    | /'
	} >>"$failures"
}

# run NAME COMMAND...: one step; its output is shown when it fails, and "skipped" lines always.
run()
{
	name=$1
	shift
	begin=$(date +%s)
	if "$@" >"$log" 2>&1; then
		passed=$((passed + 1))
		echo "ok       $name ($(($(date +%s) - begin)) s)"
		grep -iE '^ *skipped' "$log" | sed 's/^/         /'
	else
		failed=$((failed + 1))
		failure "$name"
	fi
}

# Steps that count for themselves: their last line is "N passed, N failed[, N skipped]".
run_counted()
{
	name=$1
	shift
	begin=$(date +%s)
	"$@" >"$log" 2>&1
	code=$?
	line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
	p=$(echo "$line" | sed -nE 's/^([0-9]+) passed.*/\1/p')
	f=$(echo "$line" | sed -nE 's/.* ([0-9]+) failed.*/\1/p')
	s=$(echo "$line" | sed -nE 's/.* ([0-9]+) skipped.*/\1/p')
	[ "$code" = 0 ] || [ "${f:-0}" != 0 ] || f=1
	passed=$((passed + ${p:-0})) failed=$((failed + ${f:-0})) skipped=$((skipped + ${s:-0}))
	grep -iE '^ *skipped' "$log" | sed 's/^/         /'
	if [ "$code" = 0 ] && [ "${f:-0}" = 0 ] && [ -n "$line" ]; then
		echo "ok       $name: $line ($(($(date +%s) - begin)) s)"
	else
		[ -n "$line" ] || failed=$((failed + 1))
		failure "$name: $line"
	fi
}

run "build" $MAKE all live-tools build/release/nbd-serve
run "nothing in the root that does not belong there" tests/root.sh
run "arrows" $MAKE --no-print-directory arrows
run "arrows are seen that point up" $MAKE --no-print-directory arrows-self-test
run "audit-size" $MAKE --no-print-directory audit-size
run "unit tests" $MAKE --no-print-directory unit
run "unit tests, address and undefined-behaviour sanitizers" $MAKE --no-print-directory VARIANT=asan unit
run "unit tests, thread sanitizer" $MAKE --no-print-directory VARIANT=tsan unit
run "every bit and every length of small archives" $MAKE --no-print-directory VARIANT=asan mutation-short
run "fuzz targets over what they begin with" $MAKE --no-print-directory VARIANT=asan fuzz-replay
run_counted "archives described as text" /usr/bin/python3 tests/images/check.py --vmabak build/release/vmabak
run_counted "genuine archives" /usr/bin/python3 tests/images/vectors.py "$vectors" --vmabak build/release/vmabak
run_counted "command line" tests/cli/run.sh build/release/vmabak
run "calls that fail" $MAKE --no-print-directory faults
run "kills" $MAKE --no-print-directory kills
run_counted "man pages" tests/man.sh build/release/vmabak
run_counted "examples" tests/examples.sh build/release/vmabak

echo
[ $failed = 0 ] || cat "$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
