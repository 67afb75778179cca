#!/bin/sh
# Runs the tests of the command line, each in a private folder that is gone after it.
#
#   tests/cli/run.sh [--together | --alone] [VMABAK [NAME]...]
#
# NAME is a test (restore-sparse), how it begins, or an area: backup restore list config verify convert salvage, format
# (what is in an archive), source, output, serve, live, nbd, qemu, libvirt, tape, stop (signals and kills), progress,
# memory, cli (what all commands have in common), build, install.
#
# Most of them wait more than they work: $JOBS run at a time, usually three for each processor. A test with a line
# "# alone: why" measures what others would disturb, and runs with no other, at the end; --together leaves these out, and
# --alone runs nothing else. One with a line "# long: why" is among the first, so that the last ones are short.
#
# A test that failed is run once more, with no other test beside it. When it passes then, it is told as unsteady, with
# what it said at first, and is no failure unless STRICT is set, as make soak does: a machine that others use as well
# may stop a process for longer than any test expects, and one such moment is no reason to distrust 300 others.
set -u
here=$(cd "$(dirname "$0")" && pwd)
timeout_s=${CLI_LIMIT:-600} # on the slowest machine; for long forms, more

# A test in a process of its own: lib.sh finds its folder in the environment.
if [ "${1:-}" = --one ]; then
	name=$2
	CLI_TEST_FOLDER=$CLI_TESTS/$name
	export CLI_TEST_FOLDER
	mkdir "$CLI_TEST_FOLDER"
	begin=$(date +%s)
	timeout -k 10 $timeout_s sh "$here/$name.sh" >"$CLI_TESTS/$name.log" 2>&1 </dev/null
	code=$?
	seconds=$(($(date +%s) - begin))
	times >"$CLI_TESTS/$name.times"
	processor=$("$here/../processor.sh" <"$CLI_TESTS/$name.times")
	chmod -R u+rwx "$CLI_TEST_FOLDER" 2>/dev/null
	rm -rf "$CLI_TEST_FOLDER"
	{
		case $code in
		0) echo "ok       $name ($seconds s, $processor of processor)" ;;
		77) echo "skipped  $name: $(cat "$CLI_TEST_FOLDER.reason" 2>/dev/null || echo 'it does not say why')" ;;
		124 | 137) echo "FAILED   $name: ended with $code after $seconds s; $timeout_s are its limit" ;;
		*) echo "FAILED   $name" ;;
		esac
		case $code in 0 | 77) ;; *) sed 's/^/    | /' "$CLI_TESTS/$name.log" ;; esac
	} >"$CLI_TESTS/$name.line"
	cat "$CLI_TESTS/$name.line"
	exit 0
fi

which=all
case ${1:-} in --together | --alone) which=${1#--} && shift ;; esac
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

# names BEGIN: of tests, one a line. The other files in this folder, which tests share, have no hyphen.
names()
{
	for test in "$here/$1"*.sh; do
		case $test in "$here"/*-*.sh) basename "$test" .sh ;; esac
	done
}

# marked MARK: which of those names have that line.
marked()
{
	while read -r name; do
		! grep -q "^# $1: " "$here/$name.sh" || echo "$name"
	done
}

[ $# -gt 0 ] || set -- ''
for begin; do
	names "$begin" >>"$CLI_TESTS/found"
	[ -n "$(names "$begin")" ] || {
		echo "run.sh: no test is named $begin" >&2
		exit 1
	}
done
sort -u "$CLI_TESTS/found" >"$CLI_TESTS/names"
marked alone <"$CLI_TESTS/names" >"$CLI_TESTS/alone"
grep -vxFf "$CLI_TESTS/alone" "$CLI_TESTS/names" >"$CLI_TESTS/others"
marked long <"$CLI_TESTS/others" >"$CLI_TESTS/together"
grep -vxFf "$CLI_TESTS/together" "$CLI_TESTS/others" >>"$CLI_TESTS/together"

# run_all JOBS LIST
run_all()
{
	cat "$2" >>"$CLI_TESTS/asked"
	xargs -r -P "$1" -n 1 sh "$here/run.sh" --one <"$2"
}
: >"$CLI_TESTS/asked"
[ $which = alone ] || run_all "${JOBS:-$(($(getconf _NPROCESSORS_ONLN) * 3))}" "$CLI_TESTS/together"
[ $which = together ] || run_all 1 "$CLI_TESTS/alone"

# again NAME: once more, alone.
again()
{
	mv "$CLI_TESTS/$1.line" "$CLI_TESTS/$1.first"
	sh "$here/run.sh" --one "$1"
	! grep -q '^ok ' "$CLI_TESTS/$1.line" || {
		echo "unsteady $1: it failed at first, and passed alone"
		sed 1d "$CLI_TESTS/$1.first"
	} >"$CLI_TESTS/$1.line"
}

# Many failures are no bad moment.
grep -al '^FAILED' "$CLI_TESTS"/*.line >"$CLI_TESTS/again"
[ "$(wc -l <"$CLI_TESTS/again")" -gt 5 ] || while read -r line; do
	again "$(basename "$line" .line)"
done <"$CLI_TESTS/again"

count()
{
	cat "$CLI_TESTS"/*.line 2>/dev/null | grep -ac "^$1"
}

# failures N: the failed ones once more, for those who see only the end: about 30 lines, the more tests the less of each.
failures()
{
	lines=$((30 / $1))
	grep -al "^FAILED" "$CLI_TESTS"/*.line | while read -r line; do
		head -n 1 "$line"
		[ $lines -lt 2 ] || sed 1d "$line" | tail -n $((lines - 1)) | cut -c 1-300
	done
}

while read -r name; do
	[ -e "$CLI_TESTS/$name.line" ] || echo "FAILED   $name: it did not tell how it ended" >"$CLI_TESTS/$name.line"
done <"$CLI_TESTS/asked"
[ -z "${STRICT:-}" ] || sed -i 's/^unsteady /FAILED   /' "$CLI_TESTS"/*.line
unsteady=$(count unsteady) failed=$(count FAILED) skipped=$(count skipped)
passed=$(($(count 'ok ') + unsteady))
[ "$failed" = 0 ] || {
	echo
	failures "$failed"
}
grep -al '^unsteady' "$CLI_TESTS"/*.line | tr '\n' '\0' | xargs -r -0 cat
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
