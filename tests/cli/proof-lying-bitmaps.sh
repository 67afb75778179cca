# Bitmaps of qcow2 images that leave something out, as qemu-img makes them without a word: of an image that was shrunk and
# grown again (found by its holes), and of one whose backing file was replaced (found by samples or the audit).
. "$(dirname "$0")/lib.sh"
. "$CLI/proof.sh"
need_images

uuid=01234567-89ab-cdef-0123-45678900000

# Shrunk and grown: what was cut off reads as zeros now; the bitmap is clean there.
make_random data.raw $((64 << 20)) 1
qemu-img convert -O qcow2 data.raw a.qcow2
qemu-img bitmap --add a.qcow2 cp
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}0 --token a=cp -o 0.vmab a=a.qcow2
qemu-img resize -q --shrink a.qcow2 32M
qemu-img resize -q a.qcow2 64M
bitmap_list a.qcow2 cp a.list cp cp2
expect_code 3 "$VMABAK" backup --uuid ${uuid}1 --parent 0.vmab --changed a=a.list -o 1.vmab a=a.qcow2
expect_found 1.vmab holes
same_instant 1.vmab a=a.qcow2
expect_error 4 'is wrong: byte ' "$VMABAK" backup --strict --parent 0.vmab --changed a=a.list -o 2.vmab a=a.qcow2
[ ! -e 2.vmab ] || fail "there is an archive"

# Other backing file, three clusters of which differ: the bitmap knows nothing.
cp data.raw other.raw
for n in 100 500 900; do put other.raw $((n * 65536 + 9)) "other $n"; done
qemu-img create -q -f qcow2 -F raw -b data.raw b.qcow2
qemu-img bitmap --add b.qcow2 cp
expect_code 0 "$VMABAK" backup -q --uuid ${uuid}2 --token b=cp -o b0.vmab b=b.qcow2
qemu-img rebase -u -F raw -b other.raw b.qcow2
bitmap_list b.qcow2 cp b.list cp cp
code=0 n=0
while [ $code = 0 ]; do
	[ $n -lt 5 ] || fail "not found by 5 increments"
	parent=b$n.vmab
	n=$((n + 1))
	"$VMABAK" backup --audit 1/5 --uuid ${uuid}$((n + 2)) --parent $parent --changed b=b.list -o b$n.vmab b=b.qcow2 >"$out" 2>"$err" || code=$?
done
[ $code = 3 ] || fail "exit code $code: $(cat "$err")"
expect_found b$n.vmab samples audit
same_instant b$n.vmab b=b.qcow2
