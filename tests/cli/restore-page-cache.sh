# What is restored, copied or mirrored is put on the disk while it goes on, and does not push what others need out of the page cache.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need_python ctypes mmap
need_strace
[ "$(stat -f -c %T .)" != tmpfs ] || skip "tmpfs has all its files in the page cache"
make_random a.raw 150000000 1
expect_code 0 "$VMABAK" backup -q --no-sync --compress none -o a.vmab a.raw
# A part of it may be on its way to the disk.
is_not_cached()
{
	"$PYTHON" -c 'import ctypes, mmap, sys
with open(sys.argv[1], "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
    states = ctypes.create_string_buffer(len(mapped) // 4096 + 1)
    byte = ctypes.c_char.from_buffer(mapped)
    assert ctypes.CDLL(None).mincore(ctypes.c_void_p(ctypes.addressof(byte)), ctypes.c_size_t(len(mapped)), states) == 0
    del byte
n = sum(state & 1 for state in states.raw) * 4096
sys.exit(n > 100000000 and "%s: %d bytes are cached" % (sys.argv[1], n))' "$1" || fail "it fills the page cache"
}
expect_code 0 "$VMABAK" restore -q a.vmab -d disk0=t.raw
is_not_cached t.raw
rm t.raw
start_serve a=a.raw
expect_code 0 "$VMABAK" mirror start serve:c.sock -d a=t.raw
expect_code 0 "$VMABAK" mirror wait serve:c.sock
is_not_cached t.raw
expect_code 0 "$VMABAK" mirror abort serve:c.sock
stop_serve
rm t.raw
# A copy is compared with what is on the disk, unless it need not be there yet.
copied() { strace -f -qq -o "$TMPDIR/trace" -e trace=openat "$VMABAK" copy -q a.raw t.raw --force "$@"; }
expect_code 0 copied
is_not_cached t.raw
same_file a.raw t.raw
expect_text "$TMPDIR/trace" 'O_DIRECT|'
expect_code 0 copied --no-sync
expect_no_text "$TMPDIR/trace" 'O_DIRECT|'
