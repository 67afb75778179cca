#!/usr/bin/python3
"""What two ways to pull from a machine cost, with a guest that is idle and with one that writes.

    pull.py VMABAK OTHER

Two programs: on QEMU 10 and later vmabak pulls by copy-before-write filters and snapshot-access; OTHER may be one whose
filters_fit (machine/qemu/filter.c) always says no, and so pulls by scratch images as from QEMU 7.2.

One Linux guest, emulated, with a drive of $DRIVE_MIB (1024) of random data. In each of $ROUNDS (7) rounds each program makes a backup to
/dev/null, in turn, of the idle guest and of one that writes 4 KiB $RATE (100) times a second. Medians of the times, and of the
ratios within the rounds, are told, and mean and 99th percentile of what the writes took during backups and without one.
Needs busybox, linked statically, a C compiler and what tests/live/guest/kernel.sh finds. Works in $BENCH_DIR (/var/tmp)."""
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MIB = int(os.environ.get("DRIVE_MIB", 1024))
ROUNDS = int(os.environ.get("ROUNDS", 7))
RATE = int(os.environ.get("RATE", 100))
MODULES = "virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk".split()
UNPACK = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}
INIT = """#!/bin/sh
busybox mount -t devtmpfs none /dev
busybox mount -t proc none /proc
for round in 1 2 3; do for m in /modules/*; do busybox insmod $m 2>/dev/null; done; done
while [ ! -b /dev/vda ]; do busybox sleep 0.1; done
if busybox grep -q writing /proc/cmdline; then /paced_writes /dev/vda RATE; else echo idle; fi
busybox sleep 100000
"""


def make_initrd():
    folder = pathlib.Path(subprocess.check_output([SOURCE / "tests/live/guest/kernel.sh"], text=True).strip())
    root = pathlib.Path("root")
    for name in "bin dev proc modules".split():
        (root / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    (root / "init").write_text(INIT.replace("RATE", str(RATE)))
    (root / "init").chmod(0o755)
    subprocess.check_call(["cc", "-O1", "-static", "-o", root / "paced_writes", SOURCE / "tests/bench/paced_writes.c"])
    for module in MODULES:
        for found in list((folder / "modules").rglob(f"{module}.ko*"))[:1]:
            unpacked = root / "modules" / f"{module}.ko"
            if found.suffix in UNPACK:
                with open(unpacked, "wb") as out:
                    subprocess.check_call([UNPACK[found.suffix], "-dc", found], stdout=out)
            else:
                shutil.copy(found, unpacked)
    with open("initrd", "wb") as out:
        subprocess.check_call("find . | cpio -o -H newc --quiet", shell=True, cwd=root, stdout=out)
    return folder / "vmlinuz"


def boot(kernel, kind):
    command = ["qemu-system-x86_64", "-accel", "tcg", "-m", "192", "-nodefaults", "-no-user-config", "-display", "none",
               "-serial", "file:console", "-kernel", str(kernel), "-initrd", "initrd", "-no-reboot",
               "-append", f"console=ttyS0 quiet panic=1 no_timer_check {kind}", "-qmp", "unix:qmp,server=on,wait=off",
               "-object", "iothread,id=io0", "-drive", "if=none,id=disk,format=raw,file=disk.raw,cache=writeback",
               "-device", "virtio-blk-pci,drive=disk,iothread=io0"]
    with open("qemu.log", "w") as log:
        machine = subprocess.Popen(command, stdout=log, stderr=log)
    until = time.monotonic() + 300
    while lines(0).count("write" if kind == "writing" else "idle") == 0:
        if machine.poll() is not None or time.monotonic() > until:
            sys.exit("pull: the guest does not come up: " + open("qemu.log").read() + open("console", errors="replace").read())
        time.sleep(0.2)
    return machine


def console_size():
    return os.path.getsize("console") if os.path.exists("console") else 0


def lines(begin):
    if not os.path.exists("console"):
        return ""
    with open("console", "rb") as console:
        console.seek(begin)
        return console.read().decode(errors="replace")


def latencies(begin):
    """Milliseconds; the first and the last line may be cut."""
    return [int(words[1]) / 1000 for words in map(str.split, lines(begin).splitlines()[1:-1])
            if len(words) == 2 and words[0] == "write"]


def backup(program):
    begin = time.monotonic()
    done = subprocess.run([program, "backup", "-q", "qemu:qmp", "--pull", "--compress", "none", "-o", "-"],
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"pull: {program}: exit code {done.returncode}: {done.stderr}")
    return time.monotonic() - begin


def told(name, values):
    values = sorted(values)
    return f"{name}: mean {statistics.mean(values):.2f} ms, p99 {values[int(len(values) * 0.99)]:.2f} ms, longest {values[-1]:.1f} ms, {len(values)} writes"


def main():
    programs = [os.path.realpath(program) for program in sys.argv[1:3]]
    if len(programs) != 2:
        sys.exit("usage: pull.py VMABAK OTHER")
    with tempfile.TemporaryDirectory(prefix="vmabak-bench-pull.", dir=os.environ.get("BENCH_DIR", "/var/tmp")) as folder:
        os.chdir(folder)
        kernel = make_initrd()
        with open("disk.raw", "wb") as disk:
            for _ in range(MIB):
                disk.write(os.urandom(1 << 20))
            os.fsync(disk.fileno())
        print(subprocess.check_output(["qemu-system-x86_64", "--version"], text=True).splitlines()[0])
        for kind in "idle", "writing":
            if os.path.exists("console"):
                os.unlink("console")
            machine = boot(kernel, kind)
            seconds, writes, alone = {p: [] for p in programs}, {p: [] for p in programs}, []
            try:
                for n in range(ROUNDS + 1):  # the first is not counted
                    for program in programs if n % 2 else programs[::-1]:
                        begin = console_size()
                        took = backup(program)
                        measured = latencies(begin)
                        begin = console_size()
                        time.sleep(1 if kind == "writing" else 0.2)
                        if n > 0:
                            seconds[program].append(took)
                            writes[program] += measured
                            alone += latencies(begin)
            finally:
                machine.send_signal(signal.SIGKILL)
                machine.wait()
            ours, others = (seconds[p] for p in programs)
            ratio = statistics.median(a / b for a, b in zip(ours, others))
            print(f"{kind}: {statistics.median(ours):.2f} s, other {statistics.median(others):.2f} s, ratio {ratio:.3f}")
            if kind == "writing":
                print(told("  ours", writes[programs[0]]), told("  other", writes[programs[1]]), told("  no backup", alone), sep="\n")
        os.chdir("/")


main()
