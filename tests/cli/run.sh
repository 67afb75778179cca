#!/bin/sh
# Runs the tests of the command line, two at a time, each in a private folder that is gone after it.
#
#   tests/cli/run.sh [VMABAK [NAME]...]
#
# NAME is a test (restore-sparse), how it begins, or an area: backup restore list config verify convert salvage, format
# (what is in an archive), source, output, serve, live, nbd, qemu, libvirt, tape, stop (signals and kills), progress,
# memory, cli (what all commands have in common), build, install.
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

# The other files in this folder, which tests share, have no hyphen.
for test in "$here"/*-*.sh; do
	name=$(basename "$test" .sh)
	if wanted "$name" "$@"; then
		echo "$name"
	fi
done >"$CLI_TESTS/names"
for begin; do
	grep -q "^$begin" "$CLI_TESTS/names" || {
		echo "run.sh: no test is named $begin" >&2
		exit 1
	}
done
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
