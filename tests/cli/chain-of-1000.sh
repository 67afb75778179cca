# A chain of 1000 archives takes few descriptors and little memory, in every command that reads chains.
. "$(dirname "$0")/lib.sh"

need_python xxhash zstandard
mkdir chain
"$PYTHON" - "$SRC/tests/images" <<'END'
import sys

sys.path.insert(0, sys.argv[1])
import compile as compiler

CLUSTER = 65536
content = bytearray(1 << 20)
for n in range(1000):
    at = n % 16
    lines = ["format vmab", f"uuid {n + 1:032x}", f"parent {n:032x}", f"time {n}", "drive disk 1M", "extent"]
    for cluster in range(16) if n == 0 else (at,):
        lines.append(f"data disk {cluster} size 4096 fill {n % 255 + 1:02x}")
        content[cluster * CLUSTER:cluster * CLUSTER + 4096] = bytes([n % 255 + 1]) * 4096
    with open(f"chain/{n}.vmab", "wb") as file:
        file.write(compiler.Image("\n".join(lines)).build())
open("disk.raw", "wb").write(content)
END

# bounded COMMAND...: with 64 descriptors.
bounded()
{
	expect_code 0 sh -c 'ulimit -n 64; exec "$@"' sh "$PYTHON" "$CLI/measure.py" --memory 64 "$VMABAK" "$@"
}
bounded restore -q --threads 2 chain/999.vmab -d disk=back.raw
same_file back.raw disk.raw
bounded merge --json --threads 2 chain/999.vmab -o merged.vmab
expect_json "$out" "d['n_archives'] == 1000" "d['data_clusters'] == 16" "d['parent_uuid'] is None"
bounded restore -q --threads 2 merged.vmab -d disk=again.raw
same_file again.raw disk.raw
bounded sums -q chain/999.vmab -o of.sums
expect_code 0 "$VMABAK" diff merged.vmab of.sums
