# A restore to a thin volume whose pool does not zero: old data of the pool, which the first write into a chunk uncovers
# around it, is not left where the drive has zeros.
. "$(dirname "$0")/lib.sh"

need_root
cc=$(command -v cc || command -v gcc) || skip "no C compiler here"
folder=$(mktemp -d /tmp/vmabak.XXXXXX) # LD_PRELOAD takes no blanks
on_exit "rm -rf $folder"
"$cc" -shared -fPIC -O1 -o $folder/thin.so "$SRC/tests/fault/thin.c" -ldl -pthread
[ -z "$(LD_PRELOAD=$folder/thin.so "$VMABAK" --version 2>&1 >/dev/null)" ] || skip "nothing can be preloaded here"

# Data and zeros in turn: single blocks, clusters, a lonely cluster in much zeros; and an odd end.
"$PYTHON" -c 'import random
source = random.Random(1)
with open("drive.raw", "wb") as file:
    for i in range(1024):
        if i < 512 and source.random() < 0.3 or i == 800:
            file.seek(i * 4096)
            file.write(source.randbytes(4096))
    file.truncate(1024 * 4096 - 1000)'
expect_code 0 "$VMABAK" backup -q -o a.vmab drive.raw

# as_volume OUT: what can be read of the volume.
as_volume()
{
	"$PYTHON" -c 'import os, sys
chunk, shift = int(os.environ["THIN_CHUNK"]), int(os.environ["THIN_SHIFT"])
data = bytearray(open("pool.raw", "rb").read())
for i, given in enumerate(open("map", "rb").read()[:-1]):
    if not given:
        for at in range(max(i * chunk - shift, 0), min((i + 1) * chunk - shift, len(data))):
            data[at] = 0
open(sys.argv[1], "wb").write(data)' "$1"
}

# Now, not in the end.
detach()
{
	losetup -d "$loop"
	at_exit=$(echo "$at_exit" | grep -v "losetup -d $loop")
}

# restored CHUNK SHIFT SIZE: to a volume of SIZE bytes.
restored()
{
	export THIN_CHUNK=$1 THIN_SHIFT=$2
	make_full pool.raw $3
	loop_device pool.raw
	truncate -s 0 map
	truncate -s $((($3 + $2) / $1 + 2)) map
	expect_code 0 env LD_PRELOAD=$folder/thin.so THIN_DEVICE=$loop THIN_MAP=map \
		"$VMABAK" restore -q a.vmab --force -d disk0=$loop
	[ "$(tail -c 1 map | od -An -tu1)" -le 8 ] || fail "gone through $(tail -c 1 map | od -An -tu1) times"
	as_volume volume.raw
	cmp -n 4193304 drive.raw volume.raw || fail "chunks of $1, shifted by $2"
	[ $3 -gt 8388608 ] || tail -c +4193305 volume.raw | tr -d '\0' | cmp - /dev/null || fail "past the drive"
	rm pool.raw
	detach
}
restored 65536 0 4194304
restored 262144 0 4194304
# Most of it was never written to, and still is not.
[ "$(tr -d '\0' <map | wc -c)" -le 12 ] || fail "the volume is thick: $(od -An -tx1 map)"
restored 1073741824 0 4194304
# Pages that lie in two chunks: zeros uncover old data, too.
restored 65536 32256 4194304
restored 196608 512 6291456
restored 65536 32256 12582912
