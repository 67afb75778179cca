# --progress-fd: numbers that rise to 100, and 100 only when all is done.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 40000000 1
check()
{
	"$PYTHON" -c 'import re, sys
lines = open("lines").read().splitlines()
values = [int(re.fullmatch(r"(\d+)/100", line)[1]) for line in lines]
if len(values) < 3 or values != sorted(set(values)) or values[-1] != 100:
    sys.exit(f"lines {lines}")' || fail "$1"
}
expect_code 0 sh -c '"$VMABAK" backup --rate 40M -o a.vmab --progress-fd 7 drive.raw 7>lines'
check backup
for command in 'verify --rate 40M a.vmab' 'restore --rate 40M a.vmab -C back' \
	'convert --rate 40M a.vmab -o b.vma' 'verify --rate 80M a.vmab b.vma a.vmab'; do
	expect_code 0 sh -c "\"\$VMABAK\" $command --progress-fd 3 3>lines"
	check "$command"
done
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
