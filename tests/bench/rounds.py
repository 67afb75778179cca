"""Runs the rows of rows.py interleaved, in rounds, and prints tables in Markdown.

Each row runs once a round, so what disturbs a round disturbs all of its rows; ratios are taken
within a round and their median is told. The order within a round is another one each time, as a
row can profit from what ran before it. Called by bench.sh in the work folder."""
import mmap
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import time

import rows

ROUNDS = int(os.environ["ROUNDS"] or 5)
SLOW_ROUNDS = int(os.environ["SLOW_ROUNDS"] or 2)


class Result:
    """What one row took, by round; round 0 is not counted."""

    def __init__(self):
        self.seconds, self.user, self.system, self.peak = {}, {}, {}, 0
        self.size, self.written = None, os.path.getsize("system.raw") // 4


def fail(text):
    print(f"bench: {text}", file=sys.stderr)
    sys.exit(1)


def shell(command):
    return subprocess.run(["sh", "-c", command], check=False, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True)


def remove(names):
    for name in names:
        if os.path.isdir(name):
            shutil.rmtree(name)
        elif os.path.exists(name):
            os.unlink(name)


def warm(path):
    """Into the page cache, unless it is there already: reading costs as much as some rows."""
    if os.path.isdir(path):
        shell(f"find {path} -type f -exec cat {{}} +")
        return
    if os.path.getsize(path) > 8 << 30:
        return
    cached = subprocess.run(["fincore", "-nbo", "RES", path], capture_output=True, text=True, check=False)
    if cached.returncode or int(cached.stdout) < 512 * os.stat(path).st_blocks:
        shell(f"cat {path}")


def settle(size):
    """Takes memory and gives it back. A virtual machine may have given idle memory to its host, and
    who writes first has to wait for it: three times as long for a copy as the next one does."""
    child = os.fork()
    if child == 0:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=flags).close()
        os._exit(0)
    os.waitpid(child, 0)


def cool(path):
    """Out of the page cache."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(command):
    """Seconds, and the rusage of the shell and of all that it waited for."""
    begin = time.monotonic()
    child = subprocess.Popen(["sh", "-c", command], stdout=subprocess.DEVNULL, stderr=open("out.stderr", "wb"))
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        fail(f"exit code {child.returncode}: {command}\n{open('out.stderr', errors='replace').read()}")
    return seconds, usage


def size_of(path):
    if os.path.isdir(path):
        return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(path) for name in names)
    return os.path.getsize(path)


def room_of(path):
    """Bytes it takes on disk; of folders too little, which does not matter here."""
    return 512 * os.stat(path).st_blocks if os.path.exists(path) else 0


def run_row(row, result, number):
    remove(row.out)
    if row.before and shell(row.before).returncode:
        fail(f"failed: {row.before}")
    settle(result.written)
    for path in row.reads:
        (cool if row.cold else warm)(path)
    seconds, usage = measure(row.command)
    result.seconds[number], result.user[number], result.system[number] = seconds, usage.ru_utime, usage.ru_stime
    result.peak = max(result.peak, usage.ru_maxrss / 1024)
    if row.size:
        result.size = size_of(row.size)
    result.written = sum(room_of(path) for path in row.out)
    if number == (1 if row.slow else 0) and row.same and shell(f"cmp {row.same[0]} {row.same[1]}").returncode:
        fail(f"{row.name}: {row.same[1]} is not {row.same[0]}")
    remove(row.out)


def run_group(group):
    """Results by the names of rows."""
    chosen = [row for row in group.rows if row.installed() and (SLOW_ROUNDS or not row.slow)]
    read = {path for row in chosen for path in row.reads}
    for row in group.rows:
        if not row.installed():
            print(f"left out, not installed: {row.name}", file=sys.stderr)
    for path, command in group.prepare:
        if path in read and not os.path.exists(path) and shell(command).returncode:
            fail(f"failed: {command}")
    results = {row.name: Result() for row in chosen}
    for number in range(ROUNDS + 1):
        for row in random.Random(number).sample(chosen, len(chosen)):
            if (0 < number <= SLOW_ROUNDS) if row.slow else number <= ROUNDS:
                print(f"{group.title}: round {number}: {row.name}", file=sys.stderr)
                run_row(row, results[row.name], number)
    remove(path for path, _ in group.prepare)
    remove(["in.borg.base", "in.chain.borg.base"])
    return results


def counted(by_round):
    return [value for number, value in sorted(by_round.items()) if number > 0]


def ratio(ours, peer):
    """The median of the ratios of the rounds that have both."""
    return statistics.median(ours.seconds[n] / peer.seconds[n] for n in peer.seconds if n > 0 and n in ours.seconds)


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def print_group(group, results):
    print(f"\n### {group.title}\n\n{group.about}\n" if group.about else f"\n### {group.title}\n")
    print("| what | seconds: median (min to max) | user | sys | peak MiB | size MB | ours / this |")
    print("|---|---|---:|---:|---:|---:|---|")
    for row in group.rows:
        result = results.get(row.name)
        if not result:
            continue
        user, system = statistics.median(counted(result.user)), statistics.median(counted(result.system))
        size = f"{result.size / 1e6:.1f}" if result.size else ""
        beside = f"{ratio(results[row.against], result):.2f} ({row.against})" if row.against else ""
        fewer = f", {SLOW_ROUNDS} rounds" if row.slow and SLOW_ROUNDS < ROUNDS else ""
        print(f"| {row.name}{fewer} | {spread(counted(result.seconds))} | {user:.2f} | {system:.2f} "
              f"| {result.peak:.0f} | {size} | {beside} |")
    sys.stdout.flush()


def print_bars(results):
    print("\n### What was to be reached\n")
    print("| work | against | at most | measured | |\n|---|---|---:|---:|---|")
    for ours, peer, most in rows.BARS:
        if ours in results and peer in results:
            value = ratio(results[ours], results[peer])
            print(f"| {ours} | {peer} | {most:.2f} | {value:.3f} | {'reached' if value <= most else 'missed'} |")
        else:
            print(f"| {ours} | {peer} | {most:.2f} | | not measured |")
    sizes = [results[name].size for name in rows.SAME_SIZE if name in results]
    if len(sizes) == 2:
        print(f"| size of {rows.SAME_SIZE[0]} | {rows.SAME_SIZE[1]} | 1.02 | {sizes[0] / sizes[1]:.3f} "
              f"| {'reached' if sizes[0] <= 1.02 * sizes[1] else 'missed'} |")
    ours = {name: result.peak for name, result in results.items() if name.startswith("vmabak")}
    most = max(ours, key=ours.get)
    print(f"| peak memory, {most} | MiB | 64 | {ours[most]:.1f} | {'reached' if ours[most] <= 64 else 'missed'} |")


def print_commands(groups):
    print("\n### Commands\n\n`$VMABAK` is the program; what stands in brackets is not timed.\n\n```")
    for group in groups:
        for row in group.rows:
            before = f"[{row.before}] " if row.before else ""
            print(f"{row.name}:\n    {before}{row.command}")
    print("```")


def main():
    only = os.environ.get("GROUPS_ONLY", "").split()
    groups = [group for group in rows.GROUPS if not only or group.key in only]
    if not groups:
        return
    begin, results = time.monotonic(), {}
    print(f"load before the run: {os.getloadavg()[0]:.2f}")
    for group in groups:
        began = time.monotonic()
        found = run_group(group)
        results.update(found)
        print_group(group, found)
        print(f"\n{time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.2f} at the end", flush=True)
    print_bars(results)
    print_commands(groups)
    print(f"\n{time.monotonic() - begin:.0f} s in all, {ROUNDS} rounds counted ({SLOW_ROUNDS} for slow peers)")


resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
main()
