#!/usr/bin/python3
"""A running QEMU that is backed up: how fast, and what the guest notices.

    bench.py VMABAK [ROUNDS]

The machine is a qemu-storage-daemon with a raw drive in the page cache; fio's nbd engine plays the guest, with 4 KiB
writes at random places, one at a time, at a steady pace. QEMU's own push to nbdkit's null plugin is the peer: it keeps
nothing. Rounds are interleaved, medians are told. Scratch files go to /var/tmp."""
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

GIB = 1 << 30
SECONDS = 8


class Monitor:
    def __init__(self, path):
        peer = socket.socket(socket.AF_UNIX)
        while True:
            try:
                peer.connect(path)
                break
            except OSError:
                time.sleep(0.05)
        self.lines = peer.makefile("rw")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        print(json.dumps({"execute": command, "arguments": arguments}), file=self.lines, flush=True)
        while True:
            answer = json.loads(self.lines.readline())
            if "error" in answer:
                sys.exit(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def own_push(monitor, target):
    """QEMU's job alone, to an export that throws everything away."""
    begin = time.monotonic()
    monitor.ask("blockdev-add", driver="nbd", **{"node-name": "null"}, server={"type": "unix", "path": target}, export="")
    monitor.ask("blockdev-backup", device="A", target="null", sync="full", **{"job-id": "job", "auto-dismiss": False})
    while monitor.ask("query-jobs")[0]["status"] != "concluded":
        time.sleep(0.005)
    monitor.ask("job-dismiss", id="job")
    monitor.ask("blockdev-del", **{"node-name": "null"})
    return time.monotonic() - begin


def backup(vmabak, qmp, *options):
    return [vmabak, "backup", "-q", "qemu:" + qmp, "--compress", "none", *options, "-o", "-"]


def our_push(vmabak, qmp):
    begin = time.monotonic()
    subprocess.run(backup(vmabak, qmp), stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def scratch_export(monitor, here):
    """What a pull has QEMU do, by hand, for nbdcopy: its export's URI."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "scratch", "1G"], check=True)
    monitor.ask("blockdev-add", driver="qcow2", **{"node-name": "scratch"}, backing="A", file={"driver": "file", "filename": "scratch"})
    monitor.ask("transaction", actions=[{"type": "blockdev-backup", "data": {
        "device": "A", "target": "scratch", "sync": "none", "job-id": "job"}}])
    monitor.ask("block-export-add", type="nbd", id="scratch", **{"node-name": "scratch"}, name="scratch", writable=False)
    return f"nbd+unix:///scratch?socket={here}/nbd"


def remove_scratch(monitor):
    monitor.ask("block-export-del", id="scratch", mode="hard")
    monitor.ask("block-job-cancel", device="job", force=True)
    while monitor.ask("query-jobs") or monitor.ask("query-block-exports")[0]["id"] == "scratch":
        time.sleep(0.005)
    monitor.ask("blockdev-del", **{"node-name": "scratch"})
    os.unlink("scratch")


def timed(*command):
    begin = time.monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def pull_rows(monitor, vmabak, here, rounds):
    """The export is read by nbdcopy, and by vmabak; then the whole of a pull."""
    times = []
    for _ in range(rounds):
        uri = scratch_export(monitor, here)
        row = [timed("nbdcopy", uri, "null:"), timed(vmabak, "backup", "-q", "--compress", "none", "-o", "-", f"A={uri}")]
        remove_scratch(monitor)
        row.append(timed(*backup(vmabak, f"{here}/qmp", "--pull", "--nbd-server", f"{here}/nbd", "--scratch", here)))
        times.append(row)
    copied, read, pulled = medians(times)
    print(f"pull of 1 GiB: nbdcopy of the export {copied:.2f} s, vmabak of the same {read:.2f} s: {read / copied:.2f}x; "
          f"backup --pull as a whole {pulled:.2f} s")


def guest(uri, rate):
    """Mean, 99th percentile and maximum in ms."""
    out = subprocess.run(["fio", "--name=guest", "--ioengine=nbd", f"--uri={uri}", "--rw=randwrite", "--bs=4k", "--size=1G",
                          f"--rate_iops={rate}", "--iodepth=1", f"--runtime={SECONDS}", "--time_based", "--output-format=json"],
                         capture_output=True, text=True, check=True).stdout
    write = json.loads(out[out.index("{"):])["jobs"][0]["write"]
    times = write["clat_ns"]
    return [times["mean"] / 1e6, times["percentile"]["99.000000"] / 1e6, times["max"] / 1e6, write["iops"]]


def medians(rows):
    return [statistics.median(column) for column in zip(*rows)]


def main():
    vmabak, rounds = os.path.realpath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    os.chdir(tempfile.mkdtemp(prefix="vmabak-bench.", dir="/var/tmp"))
    processes = []
    try:
        with open("A.raw", "wb") as file:
            for _ in range(64):
                file.write(os.urandom(GIB // 64))
        here = os.getcwd()
        processes.append(subprocess.Popen(
            ["qemu-storage-daemon", "--chardev", f"socket,path={here}/qmp,server=on,wait=off,id=q", "--monitor", "chardev=q,id=m",
             "--chardev", f"socket,path={here}/ask,server=on,wait=off,id=a", "--monitor", "chardev=a,id=n",
             "--blockdev", "driver=file,filename=A.raw,node-name=file", "--blockdev", "driver=raw,file=file,node-name=A",
             "--nbd-server", f"addr.type=unix,addr.path={here}/nbd", "--export", "type=nbd,id=x,node-name=A,name=A,writable=on"],
            stderr=subprocess.DEVNULL))
        processes.append(subprocess.Popen(["nbdkit", "-f", "-U", "null", "null", "1G"]))
        monitor = Monitor(f"{here}/ask")
        times = []
        for _ in range(rounds):
            times.append([own_push(monitor, f"{here}/null"), our_push(vmabak, f"{here}/qmp")])
        own, ours = medians(times)
        print(f"push of 1 GiB, fast output: QEMU to nbdkit null {own:.2f} s, vmabak {ours:.2f} s: {ours / own:.2f}x (bar 1.1)")

        pull_rows(monitor, vmabak, here, rounds)

        uri = f"nbd+unix:///A?socket={here}/nbd"
        for rate in 100, 400:
            idle, busy = [], []
            for _ in range(rounds):
                idle.append(guest(uri, rate))
                process = subprocess.Popen(backup(vmabak, f"{here}/qmp", "--rate", "10M"), stdout=subprocess.DEVNULL)
                time.sleep(1)
                busy.append(guest(uri, rate))
                if process.poll() is not None:
                    sys.exit("the backup ended too early")
                process.terminate()
                process.wait()
            for name, rows in ("idle", idle), ("push, output at 10 MiB/s", busy):
                mean, p99, longest, iops = medians(rows)
                bar = " (bar 1 / 3 / 50)" if rate == 100 and rows is busy else ""
                print(f"guest, {rate} writes/s, {name}: mean {mean:.2f}, p99 {p99:.2f}, max {longest:.1f} ms, {iops:.0f}/s{bar}")
    finally:
        for process in processes:
            process.kill()
            process.wait()
        folder = os.getcwd()
        os.chdir("/")
        subprocess.run(["rm", "-rf", folder], check=False)


main()
