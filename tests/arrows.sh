#!/bin/sh
# Proves that the rooms of the house see each other in one direction only: tests/arrows.py, which has the table.
#
#   tests/arrows.sh [--self-test] [BUILD]    BUILD has the objects of the program (build/release)
#
# With --self-test: that it does see each kind of fault.
cd "$(dirname "$0")/.." || exit 1
PYTHON=/usr/bin/python3
[ -x "$PYTHON" ] || PYTHON=python3
test=
[ "${1:-}" != --self-test ] || { test=$1 && shift; }
exec "$PYTHON" tests/arrows.py $test . "${1:-build/release}"
