#!/bin/sh
# How many lines the tests reach: the unit tests, the archives described as text, what fuzzing starts from and found, and
# the tests of the command line.
#
#   tests/coverage.sh BUILD-FOLDER SOURCE... -- FOLDER...
#
# A line for each source of the audit set and for all of it, of which 90 in 100 must be reached, without the tests of the
# command line; then a line for each folder, of whose lines 85 in 100 must be.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# What gives up opening files could not write down what it reached.
VMABAK_WITHOUT_SANDBOX=1
export VMABAK_WITHOUT_SANDBOX

tried()
{
	"$@" >"$log" 2>&1 || {
		{ grep -q '^FAILED' "$log" && grep -A 30 '^FAILED' "$log" | head -n 100 || tail -n 40 "$log"; } >&2
		echo "coverage: failed: $*" >&2
		exit 1
	}
}

# count SOURCE...: "NAME REACHED LINES" for each. gcov says "File 'format/parse.c'", then "Lines executed:98.00% of 50".
count()
{
	for source; do
		${GCOV:-gcov} -n "$build/${source%.c}.gcno" 2>/dev/null | awk -v source="$source" '
			/^File / { mine = index($0, "\047" source "\047") }
			mine && /^Lines executed:/ {
				split($2, part, ":"); share = part[2] + 0; lines = $4
				printf "%s %d %d\n", source, int(share * lines / 100 + 0.5), lines
				lines_seen = 1
				exit
			}
			END { if (!lines_seen) print source, 0, 0 }'
	done
}

# judge PERCENT NAME: a line for each of what is counted and one for all; fails when all are below PERCENT, or one has no
# lines.
judge()
{
	awk -v wanted="$1" -v name="$2" '
		$3 == 0 { print "coverage: " $1 ": nothing was measured"; missing = 1; next }
		{ printf "%6.1f %%  %5d of %5d  %s\n", 100 * $2 / $3, $2, $3, $1; hit += $2; all += $3 }
		END {
			if (all == 0) { print "coverage: nothing was measured"; exit 1 }
			low = hit * 100 < wanted * all
			printf "%6.1f %%  %5d of %5d  %s%s\n", 100 * hit / all, hit, all, name,
				low ? ": fewer than " wanted " in 100" : ""
			exit missing || low
		}'
}

# A test that fails is told at once; what was reached is counted all the same.
code=0
find "$build" -name '*.gcda' -delete
# Some tests run the program as another user, who may write down what that reached only if the files are there.
find "$build" -name '*.gcno' | sed 's/gcno$/gcda/' | xargs sh -c 'touch "$@" && chmod 666 "$@"' sh
(tried "$build/unit") || code=1
tried "$PYTHON" tests/images/check.py --vmabak "$build/vmabak"
rm -rf "$build/seeds"
"$PYTHON" tests/fuzz/seeds.py "$build/seeds"
for name in head section restore changes; do
	tried "$build/fuzz_$name" "$build/seeds/$name"
	if [ -n "$(ls -A "build/fuzz/corpus/$name" 2>/dev/null)" ]; then
		tried "$build/fuzz_$name" "build/fuzz/corpus/$name"
	fi
done
sources=
while [ "$1" != -- ]; do
	sources="$sources $1"
	shift
done
shift
# shellcheck disable=SC2086 # words
count $sources | judge 90 'lines in all of the audit set' || code=1

(tried tests/cli/run.sh "$build/vmabak") || code=1
tail -n 1 "$log"
for folder; do
	count "$folder"/*.c | awk -v folder="$folder" '{ hit += $2; all += $3 } END { print folder, hit, all }' |
		judge 85 "$folder" | tail -n 1 || code=1
done
exit $code
