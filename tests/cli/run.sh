#!/bin/sh
# Runs the tests of the command line, two at a time, each in a private folder that is gone after it.
#
#   tests/cli/run.sh [VMABAK [NAME]...]    NAME: of a test, or how it begins, such as 4 or 41-holes
set -u
here=$(cd "$(dirname "$0")" && pwd)
timeout_s=300

# A test in a process of its own: lib.sh finds its folder in the environment.
if [ "${1:-}" = --one ]; then
	name=$2
	CLI_TEST_FOLDER=$CLI_TESTS/$name
	export CLI_TEST_FOLDER
	mkdir "$CLI_TEST_FOLDER"
	timeout -k 10 $timeout_s sh "$here/$name.sh" >"$CLI_TESTS/$name.log" 2>&1 </dev/null
	code=$?
	chmod -R u+rwx "$CLI_TEST_FOLDER" 2>/dev/null
	rm -rf "$CLI_TEST_FOLDER"
	{
		case $code in
		0) echo "ok       $name" ;;
		77) echo "skipped  $name: $(cat "$CLI_TEST_FOLDER.reason" 2>/dev/null || echo 'it does not say why')" ;;
		124 | 137) echo "FAILED   $name: not done after $timeout_s s" ;;
		*) echo "FAILED   $name" ;;
		esac
		case $code in 0 | 77) ;; *) sed 's/^/    | /' "$CLI_TESTS/$name.log" ;; esac
	} >"$CLI_TESTS/$name.line"
	cat "$CLI_TESTS/$name.line"
	exit 0
fi

VMABAK=${1:-$here/../../build/release/vmabak}
[ $# = 0 ] || shift
case $VMABAK in /*) ;; *) VMABAK=$PWD/$VMABAK ;; esac
[ -x "$VMABAK" ] || {
	echo "run.sh: no program $VMABAK: run make first" >&2
	exit 1
}
# The blank in its name is part of the test.
CLI_TESTS=$(mktemp -d "${TMPDIR:-/tmp}/vmabak tests.XXXXXX") || exit 1
trap 'rm -rf "$CLI_TESTS"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
export VMABAK CLI_TESTS

wanted()
{
	[ $# -gt 1 ] || return 0
	found=$1
	shift
	for begin; do
		case $found in "$begin"*) return 0 ;; esac
	done
	return 1
}

for test in "$here"/[0-9]*.sh; do
	name=$(basename "$test" .sh)
	if wanted "$name" "$@"; then
		echo "$name"
	fi
done >"$CLI_TESTS/names"
xargs -P 2 -n 1 sh "$here/run.sh" --one <"$CLI_TESTS/names"

count()
{
	cat "$CLI_TESTS"/*.line 2>/dev/null | grep -c "^$1"
}

passed=$(count 'ok ') failed=$(count FAILED) skipped=$(count skipped)
all=$(wc -l <"$CLI_TESTS/names")
[ $((passed + failed + skipped)) = "$((all))" ] || {
	echo "run.sh: only $((passed + failed + skipped)) of $((all)) tests told how they ended" >&2
	failed=$((failed + all - passed - failed - skipped))
}
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
