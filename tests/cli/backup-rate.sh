# --rate holds back what is written, and what is read.
# alone: a rate that is kept is told from one that the machine limits
. "$(dirname "$0")/lib.sh"

make_random drive.raw 16777216 1
measure()
{
	expect_code 0 "$PYTHON" "$CLI/measure.py" --seconds "$@"
}
measure 1.6-10 "$VMABAK" backup -o a.vmab --rate 8M drive.raw
measure 1.6-10 "$VMABAK" verify --rate 8MiB/s a.vmab
measure 1.6-10 "$VMABAK" convert --rate 8M a.vmab -o b.vma
measure 1.6-10 "$VMABAK" restore --rate 8388608 a.vmab -C back
measure 0-1.5 "$VMABAK" verify a.vmab
measure 0-1.5 "$VMABAK" verify --rate 0 a.vmab
