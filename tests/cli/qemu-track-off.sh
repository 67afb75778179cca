# What is done to a tracked qcow2 image while its QEMU is off: smaller and larger again, another image, a copy of an earlier
# time, a snapshot that it is returned to, its bitmaps removed. The next increment is right, or compares.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
. "$CLI/track.sh"

need_images
small_drives
qemu-img snapshot -U -l b.qcow2 >/dev/null
n=0
track 0 -q -o 0.vmab -d B

# again CODE WHAT: once more on, one increment; 0: with as many clusters listed; 3: for that reason it is none.
again()
{
	start_drives
	write_B $((n + 1)) 4M 64k
	track "$1" -o $((n + 1)).vmab -d B --parent $n.vmab --json
	n=$((n + 1))
	[ "$1" != 0 ] || is_increment - "B=$2"
	[ "$1" = 0 ] || expect_text "$err" "drive B: all of it is compared with the parent: its changes were not recorded: $2"
	rm -rf back
	expect_code 0 "$VMABAK" restore -q $n.vmab -C back
	qemu-img convert -f raw -O raw "$uri_B" now.B
	same_file back/B.raw now.B
}

off()
{
	write_B $((n + 50)) 6M 64k
	end_process "$daemon"
}

off
again 0 3
off
qemu-img resize -q --shrink b.qcow2 8M
qemu-img resize -q b.qcow2 32M
again 3 'it was made smaller and larger again'
# An earlier copy has the bitmap of then, and what it has is what is in it.
off
cp b.qcow2 early.qcow2
again 0 3
off
cp early.qcow2 b.qcow2
again 3 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror'
off
cp b.qcow2 early.qcow2
qemu-io -f qcow2 -c 'write -q -P 99 10M 1M' b.qcow2
start_drives
write_B 98 11M 1M
end_process "$daemon"
cp early.qcow2 b.qcow2
again 0 3
# Image and maps are both returned to an earlier state, and another generation of that number ends.
off
cp b.qcow2 early.qcow2
cp -r state early
again 0 3
off
cp early.qcow2 b.qcow2
rm -r state
mv early state
start_drives
track 0 -q -o other.vmab -d B --parent $((n - 1)).vmab
end_process "$daemon"
again 3 'its map does not know that backup, as it was returned to an earlier state'
# Written to by a tool that knows bitmaps.
off
qemu-io -f qcow2 -c 'write -q -P 97 12M 1M' b.qcow2
again 0 19
# Another image.
off
qemu-img create -q -f qcow2 b.qcow2 32M
again 3 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror'
# A snapshot: QEMU does not return to it before the bitmaps are gone.
off
qemu-img snapshot -c then b.qcow2
again 0 3
off
! qemu-img snapshot -a then b.qcow2 2>said || fail "returned to a snapshot although there are bitmaps: a bitmap that lies"
grep -q bitmap said || fail "$(cat said)"
for bitmap in $(qemu-img info --output=json b.qcow2 | "$PYTHON" -S -c 'import json, sys
print(*[b["name"] for b in json.load(sys.stdin)["format-specific"]["data"]["bitmaps"]])'); do
	qemu-img bitmap --remove b.qcow2 "$bitmap"
done
qemu-img snapshot -a then b.qcow2
again 3 'QEMU was started anew, or the bitmap was removed, as by a pivot of a mirror'
off
again 0 3
nothing_in_qemu
