#!/bin/sh
# Each fuzz target, without a fuzzer, over what it begins with; under the sanitizers of the build.
#
#   tests/fuzz/replay.sh BUILD-FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
ASAN_OPTIONS=allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export ASAN_OPTIONS

rm -rf "$build/seeds"
"$PYTHON" "$here/seeds.py" "$build/seeds"
for folder in "$build/seeds"/*; do
	name=$(basename "$folder")
	said=$("$build/fuzz_$name" "$folder") || { echo "fuzz_$name: exit code $?" >&2 && exit 1; }
	echo "$name: $said" | tr '\n' ' '
	echo
	case $said in
	*[!0-9]'0 archives opened'*) echo "fuzz_$name opened no archive" >&2 && exit 1 ;;
	esac
done
