# --progress-fd: numbers that rise to 100, and 100 only when all is done.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 40000000 1
# to_its_end COMMAND...: numbers that rise, the last of which is 100.
to_its_end()
{
	expect_code 0 "$VMABAK" "$@" --progress-fd 7 7>lines
	"$PYTHON" -S -c 'import re, sys
lines = open("lines").read().splitlines()
values = [int(re.fullmatch(r"(\d+)/100", line)[1]) for line in lines]
if values != sorted(set(values)) or values[-1:] != [100]:
    sys.exit(f"lines {lines}")' || fail "$*"
}
several()
{
	[ "$(wc -l <lines)" -ge 3 ]
}
slower_until several 40 to_its_end backup --force -o a.vmab drive.raw
slower_until several 40 to_its_end verify a.vmab
slower_until several 40 to_its_end restore --force a.vmab -C back
slower_until several 40 to_its_end convert --force a.vmab -o b.vma
slower_until several 80 to_its_end verify a.vmab b.vma a.vmab
# Read to the end is not yet written: no 100 before that.
make_random small.raw 9000000 2
in_background sh -c 'exec "$VMABAK" backup --rate 1M -o c.vmab small.raw --progress-fd 3 3>early'
wait_until grep -q 9 early
kill $pid
ended_with 143 $pid
expect_no_text early 100/100
# Not 100 when it failed; and a reader that goes away, or does not read, holds nothing up.
flip a.vmab 39000000
expect_code 4 sh -c '"$VMABAK" verify --rate 80M a.vmab --progress-fd 3 3>lines'
expect_no_text lines 100/100
expect_code 0 sh -c '{ "$VMABAK" verify b.vma --rate 40M --progress-fd 3 3>&1 >/dev/null; echo $? >code; } | true
	exit "$(cat code)"'
expect_error 2 'the output goes there' "$VMABAK" backup -o - --progress-fd 1 drive.raw
