#!/bin/sh
# How many lines of what reads and writes the formats are reached by the unit tests, by the archives
# described as text, and by what fuzzing starts from and found.
#
#   tests/coverage.sh BUILD-FOLDER PERCENT SOURCE...
#
# A line for each source and one for all; exit 1 when all are below PERCENT, or one was not
# measured.
set -eu
cd "$(dirname "$0")/.."
build=$1 wanted=$2
shift 2
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
log=$(mktemp)
trap 'rm -f "$log"' EXIT

tried()
{
	"$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		echo "coverage: failed: $*" >&2
		exit 1
	}
}

find "$build" -name '*.gcda' -delete
tried "$build/unit"
tried "$PYTHON" tests/images/check.py --vmabak "$build/vmabak"
rm -rf "$build/seeds"
"$PYTHON" tests/fuzz/seeds.py "$build/seeds"
for name in head section restore; do
	tried "$build/fuzz_$name" "$build/seeds/$name"
	if [ -n "$(ls -A "build/fuzz/corpus/$name" 2>/dev/null)" ]; then
		tried "$build/fuzz_$name" "build/fuzz/corpus/$name"
	fi
done

# gcov says "File 'format/parse.c'", then "Lines executed:98.00% of 50".
for source; do
	${GCOV:-gcov} -n "$build/${source%.c}.gcda" 2>/dev/null | awk -v source="$source" '
		/^File / { mine = index($0, "\047" source "\047") }
		mine && /^Lines executed:/ {
			split($2, part, ":"); share = part[2] + 0; lines = $4
			printf "%s %d %d\n", source, int(share * lines / 100 + 0.5), lines
			lines_seen = 1
			exit
		}
		END { if (!lines_seen) print source, 0, 0 }'
done >"$log"
awk -v wanted="$wanted" '
	$3 == 0 { print "coverage: " $1 ": nothing was measured"; missing = 1; next }
	{ printf "%6.1f %%  %4d of %4d  %s\n", 100 * $2 / $3, $2, $3, $1; hit += $2; all += $3 }
	END {
		if (all == 0) { print "coverage: nothing was measured"; exit 1 }
		printf "%6.1f %%  %4d of %4d  lines in all\n", 100 * hit / all, hit, all
		exit missing || hit * 100 < wanted * all
	}' "$log"
