"""What `vmabak serve` costs, in rounds: within a round ours and the peers run one after the other, in
another order each time, and ratios are those of the medians for the speed of servers, and otherwise medians of the
ratios of the rounds. Called by
bench-live.sh in an empty folder. The load comes from fio's nbd engine: one connection, one thread."""
import atexit
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time

VMABAK = os.environ["VMABAK"]
ROUNDS = int(os.environ.get("ROUNDS", 5))
SECONDS = float(os.environ.get("SECONDS_EACH", 2))
MIB = 1 << 20
DRIVE_SIZE = 1 << 30
SPEED_SIZE = 256 << 20  # the part that the servers are compared on: little to write to the disk between runs
HUGE_SIZE = (16 << 40) - 65536  # what ext4 takes

bars = []  # (measure, bar, measured, reached)


def say(text):
    print(text, flush=True)


def fail(text):
    print(f"bench-live: {text}", file=sys.stderr)
    sys.exit(1)


def make_drives(*paths):
    """Random, so that no compressor and no hole makes anything quicker than it is; all the same."""
    source = random.Random(1)
    files = [open(path, "wb") for path in paths]
    for _ in range(DRIVE_SIZE // MIB):
        block = source.randbytes(MIB)
        for file in files:
            file.write(block)
    for file in files:
        os.fsync(file.fileno())
        file.close()


class Server:
    """A server that runs until it is closed; uri() is where clients find its export."""

    def __init__(self, name, command, socket, export=""):
        self.name, self.socket, self.export = name, os.path.abspath(socket), export
        if os.path.exists(self.socket):
            os.unlink(self.socket)  # of one before, which may have left it
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{name}.log", "wb"))
        atexit.register(self.process.kill)  # when something fails
        for _ in range(300):
            if os.path.exists(self.socket):
                return
            time.sleep(0.05)
        fail(f"{name} does not come up: {open(f'{name}.log', errors='replace').read()}")

    def uri(self):
        return f"nbd+unix:///{self.export}?socket={self.socket}"

    def memory(self, key="VmHWM"):
        """MiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith(key)).split()[1]) / 1024

    def processor(self):
        """Seconds that it has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        if self.process.wait() != 0 and self.name == "vmabak":
            fail(f"vmabak serve: exit code {self.process.returncode}: {open('vmabak.log', errors='replace').read()}")


def serve(drive, *options):
    command = [VMABAK, "serve", "--control", "control", "--nbd", "unix:ours.sock", *options, f"disk={drive}"]
    return Server("vmabak", command, "ours.sock", "disk")


def qemu_nbd(drive):
    command = ["qemu-nbd", "-f", "raw", "--cache=writeback", "-t", "-e", "0", "-k", os.path.abspath("qemu.sock"), drive]
    return Server("qemu-nbd", command, "qemu.sock")


def nbdkit(drive):
    return Server("nbdkit", ["nbdkit", "-f", "-U", "nbdkit.sock", "file", drive], "nbdkit.sock")


def fio(server, pattern, seconds, *options):
    """One job; what fio tells of it."""
    command = ["fio", "--name=load", "--ioengine=nbd", f"--uri={server.uri()}", f"--rw={pattern}", f"--size={DRIVE_SIZE}",
               f"--runtime={seconds}", "--time_based", "--output-format=json", "--norandommap", "--percentile_list=50:99:99.9", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        fail(f"{server.name}: fio: {done.stdout[-300:]} {done.stderr[-300:]}")
    job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
    if job["error"]:
        fail(f"{server.name}: fio: error {job['error']}")
    return job[pattern.removeprefix("rand")]


def settle(*paths):
    """What was written before does not go to the disk during what is measured next."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


# ---- speed, beside other servers ----

WORKLOADS = [("sequential read", "read", "256k", 4), ("sequential write", "write", "256k", 4),
             ("4 KiB random read, depth 16", "randread", "4k", 16),
             ("4 KiB random write, depth 16", "randwrite", "4k", 16)]


def speed():
    """A file in the page cache may be half as fast again as another of the same size and content, as the kernel
    keeps it in larger pieces; so each server has each of the drives in turn."""
    drives = ["a.raw", "b.raw", "c.raw"]
    makers = [serve, qemu_nbd, nbdkit]
    names = ["vmabak", "qemu-nbd", "nbdkit"]
    rates = {(w[0], name): [] for w in WORKLOADS for name in names}
    costs = {key: [] for key in rates}
    for number in range(-(-ROUNDS // 3) * 3):
        servers = [maker(drives[(number + i) % 3]) for i, maker in enumerate(makers)]
        for name, pattern, size, depth in WORKLOADS:
            for server in random.Random(number).sample(servers, len(servers)):
                settle(*drives)
                before = server.processor()
                found = fio(server, pattern, SECONDS, f"--bs={size}", f"--iodepth={depth}", f"--size={SPEED_SIZE}")
                rates[name, server.name].append(found["iops"])
                costs[name, server.name].append((server.processor() - before) * 1e6 / found["total_ios"])
        for server in servers:
            server.close()
    say("\n### Without a backup: requests of fio over a unix socket\n")
    say("MiB/s for sequential ones (256 KiB, depth 4), thousands of requests a second for random ones: median (min to max).\n")
    say("| work | vmabak serve | qemu-nbd | nbdkit file | ours / better of the two |\n|---|---|---|---|---:|")
    notes = []
    for name, _, size, _ in WORKLOADS:
        unit = 0.25 if size == "256k" else 1e-3
        cells = " | ".join(spread([rate * unit for rate in rates[name, server]], 1) for server in names)
        better = max(statistics.median(rates[name, server]) for server in names[1:])
        ratio = statistics.median(rates[name, "vmabak"]) / better
        say(f"| {name} | {cells} | {ratio:.2f} |")
        spent = (f"{server} {statistics.median(costs[name, server]):.1f}" for server in names)
        notes.append(f"* {name}: {', '.join(spent)}")
        bars.append((name, "at least 1.00 of the better", f"{ratio:.2f}", ratio >= 1.0))
    say("\nProcessor time of the server for a request, µs, which depends less on what else the machine does:\n")
    say("\n".join(notes))


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


# ---- what a backup costs the guest ----


def status():
    done = subprocess.run([VMABAK, "status", "--json", "control"], capture_output=True, text=True, check=False)
    if done.returncode:
        fail(f"status: {done.stderr}")
    return json.loads(done.stdout)["serve"]


class Backups:
    """One after the other, until it is closed; the archives go nowhere."""

    def __init__(self, *options):
        self.done = status()["n_backups_done"]
        script = f'while "$VMABAK" backup -q serve:control {" ".join(options)} -o - >/dev/null; do :; done'
        self.process = subprocess.Popen(["sh", "-c", script], stderr=open("backups.err", "wb"), start_new_session=True)
        while not status()["backup"]:
            time.sleep(0.01)

    def close(self):
        """How many ended meanwhile, and what the last one, which is cut short, held a write up for at most, in ms."""
        if self.process.poll() is not None:
            fail(f"a backup failed: {open('backups.err', errors='replace').read()}")
        last = status()
        ended, held = last["n_backups_done"] - self.done, (last["backup"] or {"delay_max_ns": 0})["delay_max_ns"] / 1e6
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()
        while status()["backup"]:
            time.sleep(0.01)
        return ended, held


def latency(found):
    """Mean, 99th percentile and longest in ms, and how many a second there were."""
    percentiles = found["clat_ns"]["percentile"]
    return (found["lat_ns"]["mean"] / 1e6, percentiles["99.000000"] / 1e6, found["lat_ns"]["max"] / 1e6, found["iops"])


def paced(server, rate, seconds, *backup):
    """Latencies of one request at a time, rate a second, with backups meanwhile if there are options for them."""
    settle("a.raw")
    backups = Backups(*backup) if backup else None
    found = latency(fio(server, "randwrite", seconds, "--bs=4k", "--iodepth=1", f"--rate_iops={rate}"))
    return found, *(backups.close() if backups else (0, 0))


def print_latencies(rows):
    say("| guest writes | mean ms | p99 ms | longest ms | longest that the capture held one, ms "
        "| writes a second | backups that ended meanwhile |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, found in rows.items():
        mean, p99, longest, iops = (statistics.median(run[0][i] for run in found) for i in range(4))
        say(f"| {name} | {mean:.3f} | {p99:.3f} | {longest:.2f} (worst {max(run[0][2] for run in found):.2f}) "
            f"| {max(run[2] for run in found):.2f} | {iops:.0f} | {sum(run[1] for run in found)} |")


def fast():
    server = serve("a.raw")
    kinds = {"400/s, no backup": [], "400/s, backups with zstd": ["--compress", "zstd"],
             "400/s, backups uncompressed": ["--compress", "none"]}
    rows = {name: [] for name in kinds}
    for number in range(max(1, ROUNDS - 2)):
        for name in random.Random(number).sample(list(kinds), len(kinds)):
            rows[name].append(paced(server, 400, 2.5 * SECONDS, *kinds[name]))
    server.close()
    say("\n### Guest writes of 4 KiB while backups go to a fast output (/dev/null)\n")
    print_latencies(rows)
    idle, during = rows["400/s, no backup"], rows["400/s, backups with zstd"]
    for i, name, times, more in (0, "mean", 1.5, 0.1), (1, "p99", 2, 1):
        before, after = (statistics.median(run[0][i] for run in found) for found in (idle, during))
        bar = f"at most {times} x {before:.3f} + {more} = {times * before + more:.3f} ms"
        bars.append((f"400 writes/s during a backup: {name}", bar, f"{after:.3f} ms", after <= times * before + more))


def slow():
    server = serve("a.raw")
    rows = {"100/s, no backup": [], "100/s, output of 10 MiB/s": []}
    for _ in range(max(1, ROUNDS // 2)):
        rows["100/s, no backup"].append(paced(server, 100, 2 * SECONDS))
        rows["100/s, output of 10 MiB/s"].append(paced(server, 100, 6 * SECONDS, "--rate", "10M"))
    server.close()
    say("\n### Guest writes of 4 KiB while a backup goes to a slow output\n")
    print_latencies(rows)
    found = rows["100/s, output of 10 MiB/s"]
    mean, longest = statistics.median(run[0][0] for run in found), max(run[0][2] for run in found)
    bars.append(("100 writes/s, output of 10 MiB/s: mean", "at most 1 ms", f"{mean:.3f} ms", mean <= 1))
    bars.append(("100 writes/s, output of 10 MiB/s: longest of all", "at most 50 ms", f"{longest:.2f} ms", longest <= 50))


# ---- what serve costs a backup ----


def timed(*command):
    begin = time.monotonic()
    done = subprocess.run([VMABAK, "backup", "-q", "--force", "--no-sync", *command], capture_output=True, text=True, check=False)
    if done.returncode:
        fail(f"backup {command}: exit code {done.returncode}: {done.stderr}")
    return time.monotonic() - begin


def through_serve(codec):
    server = serve("a.raw")
    try:
        return timed("--compress", codec, "-o", "out.vmab", "serve:control")
    finally:
        server.close()


def of_the_file(codec):
    return timed("--compress", codec, "-o", "out.vmab", "disk=a.raw")


def through():
    """Of the same file, for the reason that speed() gives; a serve holds it, so each backup has a new one."""
    say("\n### A backup of 1 GiB of random data: through serve with an idle guest, and of the same file alone\n")
    say("| compression | through serve, s | of the file, s | ratio |\n|---|---|---|---:|")
    for codec in "zstd", "none":
        seconds = {through_serve: [], of_the_file: []}
        for number in range(4 * ROUNDS + 1):  # the first one is not counted
            for way in random.Random(number).sample(list(seconds), 2):
                # Nothing of the one before is still to be written, and nothing of it is in the way.
                if os.path.exists("out.vmab"):
                    os.unlink("out.vmab")
                os.sync()
                taken = way(codec)
                seconds[way] += [taken] if number else []
        served, alone = seconds[through_serve], seconds[of_the_file]
        ratio = statistics.median(s / f for s, f in zip(served, alone))
        say(f"| {codec} | {spread(served, 2)} | {spread(alone, 2)} | {ratio:.2f} |")
        bars.append((f"backup through serve, {codec}", "at most 1.10 of that of the file", f"{ratio:.2f}", ratio <= 1.1))
    os.unlink("out.vmab")


# ---- memory ----


def size_since(name):
    begin = time.monotonic()
    subprocess.run([VMABAK, "checkpoint", "size", name, "serve:control"], check=True, capture_output=True)
    return time.monotonic() - begin


def memory():
    """A map in a file beside the drive; written to in many places, then backed up while it is written to."""
    with open("huge.raw", "wb") as file:
        file.truncate(HUGE_SIZE)
    server = serve("huge.raw", "--map", "disk=huge.map")
    rows = [("at start", server.memory("VmRSS"))]
    fio(server, "randwrite", SECONDS, "--bs=4k", "--iodepth=16", f"--size={HUGE_SIZE}")
    rows.append(("after random writes", server.memory("VmRSS")))
    fio(server, "trim", 60, "--bs=1g", f"--size={HUGE_SIZE}", "--time_based=0")
    rows.append(("after a trim of all of it, which marks all of the map", server.memory("VmRSS")))
    timed("serve:control", "-o", "out.vmab")
    rows.append(("after a backup", server.memory("VmRSS")))
    rows.append(("most at any time", server.memory()))
    before = server.memory("VmRSS")
    for number in range(100):
        fio(server, "randwrite", 60, "--bs=4k", f"--size={HUGE_SIZE}", "--time_based=0", "--number_ios=100", f"--randseed={number}")
        subprocess.run([VMABAK, "checkpoint", "create", f"c{number}", "serve:control"], check=True)
    fio(server, "randwrite", 60, "--bs=4k", f"--size={HUGE_SIZE}", "--time_based=0", "--number_ios=100", "--randseed=100")
    taken = [size_since(f"c{number}") for number in range(0, 100, 5)]
    more = server.memory("VmRSS") - before
    rows.append(("with 100 checkpoints and 100 writes after each", server.memory("VmRSS")))
    server.close()
    say("\n### Memory of serve for a sparse drive of 16 TiB, with a map\n\n| | MiB resident |\n|---|---:|")
    for name, mib in rows:
        say(f"| {name} | {mib:.1f} |")
    most = dict(rows)["most at any time"]
    bars.append(("memory of serve, 16 TiB", "at most 600 MiB", f"{most:.0f} MiB", most <= 600))
    bars.append(("memory of 100 checkpoints of that", "at most 1 MiB", f"{more:.2f} MiB", more <= 1))
    bars.append(("`checkpoint size` of that, the longest of 20", "at most 50 ms", f"{max(taken) * 1e3:.0f} ms", max(taken) <= 0.05))
    os.unlink("huge.raw")


# ---- what the map of a file costs, with its log of hot regions ----

MAPPED_SIZE = 64 << 30
MAPPED = [("hot set of 1 GiB", 1 << 30, 0.95), ("uniform over 64 GiB", MAPPED_SIZE, 0.7)]


def write_to_new(size, *options):
    """Requests a second, and microseconds of processor each, of a server of a drive of which at most a part was written to."""
    with open("sparse.raw", "wb") as file:
        file.truncate(MAPPED_SIZE)
    if os.path.exists("sparse.map"):
        os.unlink("sparse.map")
    server = serve("sparse.raw", *options)
    if size < MAPPED_SIZE:  # it is to be hot
        fio(server, "write", 60, "--bs=64k", "--iodepth=4", f"--size={size}", "--time_based=0")
    before = server.processor()
    found = fio(server, "randwrite", SECONDS, "--bs=4k", "--iodepth=16", f"--size={size}")
    cost = (server.processor() - before) * 1e6 / found["total_ios"]
    server.process.kill()  # closing in order would write all of it to the disk, for the next one to wait for
    server.process.wait()
    os.unlink("sparse.raw")
    return found["iops"], cost


def mapped():
    ways = [("without", ()), ("with", ("--map", "disk=sparse.map"))]
    found = {(name, way): [] for name, _, _ in MAPPED for way, _ in ways}
    for number in range(ROUNDS * 2):
        for name, size, _ in MAPPED:
            for way, options in random.Random(number).sample(ways, 2):
                found[name, way].append(write_to_new(size, *options))
    say("\n### 4 KiB random writes, depth 16, with a map in a file and without\n")
    say("Thousands a second, and µs of serve's processor each: medians (min to max). Of the hot set each cluster is written to before; the other drive is new, so that each cluster's first write is marked.\n")
    say("| writes | without | with | with / without | µs without | µs with |\n|---|---|---|---:|---:|---:|")
    for name, _, bar in MAPPED:
        rates = [[rate for rate, _ in found[name, way]] for way, _ in ways]
        costs = [statistics.median(cost for _, cost in found[name, way]) for way, _ in ways]
        ratio = statistics.median(rates[1]) / statistics.median(rates[0])
        cells = " | ".join(spread([rate * 1e-3 for rate in row], 1) for row in rates)
        say(f"| {name} | {cells} | {ratio:.2f} | {costs[0]:.1f} | {costs[1]:.1f} |")
        bars.append((f"random writes with a map, {name}", f"at least {bar} of those without", f"{ratio:.2f}", ratio >= bar))


def main():
    parts = {"speed": speed, "fast": fast, "slow": slow, "through": through, "memory": memory, "mapped": mapped}
    rows = os.environ.get("LIVE_ROWS", " ".join(parts)).split()
    begin = time.monotonic()
    say(f"load before the run: {os.getloadavg()[0]:.2f}; {os.cpu_count()} processors; {ROUNDS} rounds")
    if set(rows) - {"memory", "mapped"}:
        make_drives("a.raw", "b.raw", "c.raw")
    for name in rows:
        parts[name]()
    say("\n### What was to be reached\n\n| measure | bar | measured | |\n|---|---|---:|---|")
    for measure, bar, measured, reached in bars:
        say(f"| {measure} | {bar} | {measured} | {'reached' if reached else 'missed'} |")
    say(f"\n{time.monotonic() - begin:.0f} s in all, load {os.getloadavg()[0]:.2f} at the end")


main()
