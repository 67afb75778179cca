# What a backup reads of a cold drive does not stay in memory, and what was there before does.
. "$(dirname "$0")/lib.sh"

make_random a.raw 100000000 1
# cached FILE: how many of its bytes are in memory.
cached()
{
	"$PYTHON" -c 'import ctypes, os, sys
size = os.path.getsize(sys.argv[1])
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
at = libc.mmap(None, size, 0, 1, os.open(sys.argv[1], os.O_RDONLY), 0)
pages = (ctypes.c_ubyte * -(-size // 4096))()
assert libc.mincore(at, size, pages) == 0
print(sum(page & 1 for page in bytes(pages)) * 4096)' "$1"
}
make_cold()
{
	dd if=a.raw of=/dev/null iflag=nocache count=0 2>/dev/null
	[ "$(cached a.raw)" -lt 1000000 ]
}

sync a.raw
make_cold || skip "files here stay in memory"
for compress in none zstd:1; do
	make_cold || fail "it does not get cold"
	expect_code 0 "$VMABAK" backup -q --no-sync --force --compress $compress -o a.vmab a.raw
	[ "$(cached a.raw)" -lt 20000000 ] || fail "$compress: $(cached a.raw) bytes are left in memory"
done
cat a.raw >/dev/null
[ "$(cached a.raw)" -gt 90000000 ] || skip "files here do not stay in memory"
expect_code 0 "$VMABAK" backup -q --no-sync --force -o a.vmab a.raw
[ "$(cached a.raw)" -gt 90000000 ] || fail "only $(cached a.raw) bytes are left in memory"
