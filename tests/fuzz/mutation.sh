#!/bin/sh
# Every bit and every length of archives that are described in tests/images.
#
#   tests/fuzz/mutation.sh PROGRAM STEP NAME...
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=$1 step=$2
shift 2
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
PYTHONDONTWRITEBYTECODE=1
ASAN_OPTIONS=allocator_may_return_null=1:quarantine_size_mb=8${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export PYTHONDONTWRITEBYTECODE ASAN_OPTIONS
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

for name; do
	"$PYTHON" "$here/../images/compile.py" "$here/../images/$name.txt" "$folder/$name"
done
cd "$folder"
case $program in /*) ;; *) program=$OLDPWD/$program ;; esac
"$program" "$step" "$@"
