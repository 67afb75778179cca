# The newest instant of a chain: drives that came, went, grew and shrank; and one that reaches past the links that may be
# open at the same time.
. "$(dirname "$0")/lib.sh"
. "$CLI/export.sh"

"$PYTHON" - <<'EOF'
import os, random
rng = random.Random(9)
os.mkdir("truth")
a = bytearray(rng.randbytes(400000) + bytes(2 << 20) + rng.randbytes(300001))
for day in range(8):
    for _ in range(3):
        at = rng.randrange(0, len(a) - 70000)
        a[at:at + 70000] = rng.choice([bytes(70000), rng.randbytes(70000)])
    if day == 3:
        del a[-200000:]
    if day == 5:
        a += rng.randbytes(150000)
    open(f"truth/{day}.raw", "wb").write(a)
EOF
parent=
for day in 0 1 2 3 4 5 6 7; do
	# shellcheck disable=SC2086 # nothing, or two words
	"$VMABAK" backup -q -o $day.vmab $parent root=truth/$day.raw new$((day / 4))=truth/$day.raw
	parent="--parent $day.vmab"
done
for day in 0 3 7; do
	start_export $day.vmab
	same_bytes root truth/$day.raw 80 $day
	same_bytes new$((day / 4)) truth/$day.raw 20 $day
	stop_export
done

# A chain of 100, of which each has a cluster that is still its own; few descriptors.
truncate -s 8M many.raw
"$VMABAK" backup -q -o m0.vmab root=many.raw
i=1
while [ $i -lt 100 ]; do
	printf 'day %d' $i | dd of=many.raw bs=65536 seek=$i conv=notrunc status=none
	"$VMABAK" backup -q -o m$i.vmab --parent m$((i - 1)).vmab --uuid "00000000-0000-4000-8000-$(printf %012d $i)" root=many.raw
	i=$((i + 1))
done
start_export m99.vmab
same_bytes root many.raw 300
n=$(ls /proc/$export/fd | wc -l)
[ "$n" -lt 90 ] || fail "$n descriptors are open"
stop_export

# Without one of them nothing is served.
rm m50.vmab
expect_code 1 timeout 60 "$VMABAK" export m99.vmab --nbd unix:n.sock
expect_text "$err" "m51.vmab: its parent"
