#!/bin/sh
# Seconds of processor time between two outputs of the shell's "times", or until the only one, on standard input: of all
# children that have been waited for.
awk -F '[ms ]' 'NR % 2 == 0 { before = now; now = $1 * 60 + $2 + $4 * 60 + $5 } END { printf "%.1f s\n", now - before }'
