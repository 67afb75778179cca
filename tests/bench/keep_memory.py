"""Keeps the memory of a virtual machine from going back to its host while something is measured.

A kernel that reports free memory does so in blocks of 2 MiB; what was reported has to come from the
host again, page by page, when the next program takes it, whichever that is. This takes most of the
free memory and lets go of it again, but for one page in each such block, for as long as it runs. Those
lie in pipes, so that the kernel does not move them to make whole blocks. No setting is changed. Needs
root, to know which pages lie in one block.

    keep_memory.py [MIB]        says what it kept when it is done, then waits to be killed"""
import array
import ctypes
import fcntl
import mmap
import os
import signal
import sys

PAGE, BLOCK = 4096, 2 << 20
MADV_NOHUGEPAGE, MADV_DONTNEED = 15, 4
F_SETPIPE_SZ = 1031
PIPE_PAGES = 256  # what anybody may make one of


class Part(ctypes.Structure):
    """struct iovec"""

    _fields_ = [("start", ctypes.c_void_p), ("size", ctypes.c_size_t)]


def free_mib():
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("MemFree:"))


def places(start, n_pages):
    """Of pages from start on: their numbers in the machine's memory, 0 if that is not told."""
    found = array.array("Q")
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        file.seek(start // PAGE * 8)
        while len(found) < n_pages:
            found.frombytes(file.read(min(1 << 20, (n_pages - len(found)) * 8)))
    return (entry & (1 << 55) - 1 for entry in found)


def one_of_each_block(start, n_pages):
    seen, kept = set(), []
    for i, place in enumerate(places(start, n_pages)):
        block = place // (BLOCK // PAGE)
        if block not in seen:
            seen.add(block)
            kept.append(i)
    return kept


def pin(libc, addresses):
    """Into pipes, which stay open; how many could be."""
    n_done = 0
    for at in range(0, len(addresses), PIPE_PAGES):
        some = addresses[at : at + PIPE_PAGES]
        _, end = os.pipe()
        fcntl.fcntl(end, F_SETPIPE_SZ, PIPE_PAGES * PAGE)
        parts = (Part * len(some))(*(Part(address, PAGE) for address in some))
        n_bytes = libc.vmsplice(end, parts, len(some), 0)
        n_done += max(0, n_bytes) // PAGE
    return n_done


def main():
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else max(1024, free_mib() - 1024)) << 20
    libc = ctypes.CDLL(None)
    advise = libc.madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.vmsplice.restype = ctypes.c_ssize_t
    memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    advise(start, size, MADV_NOHUGEPAGE)
    for at in range(0, size, PAGE):
        memory[at] = 1
    kept = one_of_each_block(start, size // PAGE)
    if len(kept) < 2:
        sys.exit("keep_memory: where pages lie cannot be seen: not root?")
    n_pinned = pin(libc, [start + i * PAGE for i in kept])
    before = 0
    for i in kept + [size // PAGE]:
        if i > before:
            advise(start + before * PAGE, (i - before) * PAGE, MADV_DONTNEED)
        before = i + 1
    print(f"kept a page in each of {len(kept)} blocks of {BLOCK >> 20} MiB, {n_pinned} of them for good", flush=True)
    signal.pause()


main()
