#!/bin/sh
# Measures `vmabak serve`: its speed beside that of other NBD servers, what a backup costs the guest that writes
# meanwhile, what the way through it costs a backup, and its memory. About five minutes.
#
#   tests/bench/bench-live.sh [--quick] VMABAK
#
# Works in $BENCH_DIR (default: ${TMPDIR:-/var/tmp}/vmabak-bench-live), which takes 4 GiB and is removed
# after it. $LIVE_ROWS, a list of speed fast slow through memory mapped, measures only those; $ROUNDS (5; for speed the next
# multiple of 3, for fast and slow fewer, for through four times as many, for mapped twice) and $SECONDS_EACH (2) may be other numbers.
# --quick takes one round of a second: to try the script, its numbers mean nothing.
set -eu
PATH=$PATH:/usr/sbin:/sbin
LC_ALL=C
export PATH LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" = --quick ]; then
	shift
	export ROUNDS=1 SECONDS_EACH=1
fi
VMABAK=$(realpath "${1:?usage: tests/bench/bench-live.sh [--quick] VMABAK}")
[ -x "$VMABAK" ] || { echo "bench-live: $VMABAK: not a program" >&2; exit 2; }
for tool in fio qemu-nbd nbdkit /usr/bin/python3; do
	command -v "$tool" >/dev/null || { echo "bench-live: needs $tool" >&2; exit 2; }
done
place=${BENCH_DIR:-${TMPDIR:-/var/tmp}/vmabak-bench-live}
mkdir -p "$place"
. "$here/memory.sh"
trap 'let_go_of_memory; rm -rf "$place"' EXIT
trap 'exit 130' INT TERM HUP
[ "$(df -k --output=avail "$place" | tail -n 1)" -gt $((6 << 20)) ] ||
	{ echo "bench-live: $place: less than 6 GiB free" >&2; exit 1; }
cd "$place"
export VMABAK
keep_memory
/usr/bin/python3 "$here/live.py"
