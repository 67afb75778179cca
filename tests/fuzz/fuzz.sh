#!/bin/sh
# Runs fuzz targets one after another, each with the seeds made from tests/images and with what
# earlier runs kept.
#
#   tests/fuzz/fuzz.sh BUILD-FOLDER SECONDS NAME...
#
# A line for each with the number of executions; what crashes stays in BUILD-FOLDER/found, and the
# exit code is 1.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 seconds=$2
shift 2
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=8:detect_odr_violation=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export ASAN_OPTIONS

rm -rf "$build/seeds"
"$PYTHON" "$here/seeds.py" "$build/seeds" || exit 1
mkdir -p "$build/found" "$build/corpus"
failed=0
for name; do
	mkdir -p "$build/corpus/$name" "$build/seeds/$name"
	log=$build/$name.log
	"$build/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=0 -malloc_limit_mb=0 \
		-max_len=131072 -print_final_stats=1 -artifact_prefix="$build/found/$name-" \
		"$build/corpus/$name" "$build/seeds/$name" >"$log" 2>&1
	code=$?
	number=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	if [ $code = 0 ]; then
		echo "ok       $name: ${number:-0} executions in $seconds s"
	else
		failed=1
		echo "FAILED   $name: exit code $code after ${number:-?} executions: see $log"
		grep -m 5 -E 'ERROR|SUMMARY|runtime error|artifact_prefix' "$log" | sed 's/^/    | /'
	fi
done
exit $failed
