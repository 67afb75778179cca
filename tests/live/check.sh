#!/bin/sh
# The long form of the tests of live backup: many backups while dependent writers go at the drives over several
# connections, as fast as they can.
#
#   tests/live/check.sh [BACKUPS [VMABAK]]    (200, build/release/vmabak)
#
# Every third part begins with other operations. Drives have odd sizes; writes are of any offset and length,
# WRITE_ZEROES and TRIM among them, except in one part, where after each request it is certain what is there.
set -eu
backups=${1:-200}
[ $# -lt 2 ] || export VMABAK="$(realpath "$2")"
. "$(dirname "$0")/../cli/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

# part SEED OPTION...: a third of the backups, of writers with these options.
part()
{
	seed=$1
	shift
	rm -rf part
	mkdir part
	cd part
	make_drives 50004480 33558016
	start_serve --map A=A.map --map B=B.map A=A.raw B=B.raw
	start_writers --seed "$seed" "$@"
	start_judge
	live_backups $((backups / 3 + (seed < backups % 3)))
	stop_writers
	stop_serve
	ask_judge A.raw B.raw
	exec 3>&-
	wait $judge || fail "the judge"
	echo "$* ($(wc -l <answers) instants): $(cat writers.out)"
	[ ! -f slow.json ] || "$PYTHON" -c 'import json
c = json.load(open("slow.json"))["capture"]
print("  the last one to a slow output:", ", ".join(f"{key} {c[key]}" for key in ("sweep_clusters", "guest_clusters",
      "spilled_clusters", "quiesce_ns", "delay_p99_ns", "delay_max_ns")))'
	cd ..
}

part 0 --chains 8 --connections 4
part 1 --chains 1
part 2 --chains 16 --connections 2 --no-trims --longest 400000
