#!/usr/bin/python3
"""An object store beside rclone: what an upload and a restore take, and the memory of both.

    store.py VMABAK

A Ceph of one node (tests/stores/ceph.sh) is started on loopback, and ended again. In each of $ROUNDS (5) rounds, after one that is
not counted, every row runs once, in another order each time; medians are told, and the medians of the ratios within the rounds.
$SIZE_MIB (2048) of random data is backed up. What is restored is compared with it in the first round. Works in $BENCH_DIR (/var/tmp).
Exit 77: radosgw or rclone is not there."""
import os
import pathlib
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
MIB = int(os.environ.get("SIZE_MIB", 2048))
ROUNDS = int(os.environ.get("ROUNDS", 5))
NO_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
N_READERS = 4  # as many as vmabak has connections


def curl(address, *options):
    return ["curl", "-sf", "--noproxy", "*", "--aws-sigv4", "aws:amz:default:s3", "--user", "tester:testing-secret",
            "-H", f"x-amz-content-sha256: {NO_BODY}", *options, address]


def free_port():
    """The one after it is free, too."""
    while True:
        first = random.randrange(20000, 30000)
        try:
            with socket.socket() as one, socket.socket() as two:
                one.bind(("127.0.0.1", first))
                two.bind(("127.0.0.1", first + 1))
                return first
        except OSError:
            continue


def environment(port):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_") and not name.lower().endswith("_proxy")}
    return {**kept, "HOME": os.getcwd(), "XDG_STATE_HOME": os.getcwd(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "testing-secret", "AWS_REGION": "default",
            "RCLONE_CONFIG_STORE_TYPE": "s3", "RCLONE_CONFIG_STORE_PROVIDER": "Ceph", "RCLONE_CONFIG_STORE_ENV_AUTH": "true",
            "RCLONE_CONFIG_STORE_ENDPOINT": f"http://127.0.0.1:{port}", "RCLONE_CONFIG_STORE_REGION": "default",
            "CEPH_CONF": "ceph/ceph.conf"}


def remove_outputs(env):
    shutil.rmtree("out", ignore_errors=True)
    for name in "new.vmab", "new.raw":
        subprocess.run(["rclone", "-q", "deletefile", f"store:bench/{name}"], env=env, stderr=subprocess.DEVNULL, check=False)
    # What is deleted would lie there for two hours.
    subprocess.run(["radosgw-admin", "gc", "process", "--include-all"], env=env, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    os.sync()


def measure(command, env):
    """Seconds, MiB."""
    begin = time.monotonic()
    child = subprocess.Popen(["sh", "-c", command], env=env)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"store: exit code {child.returncode}: {command}")
    return seconds, usage.ru_maxrss / 1024


def read_ranges(port, size):
    """A shell command that reads the archive by as many connections, a part of it each, and keeps nothing."""
    step = -(-size // N_READERS)
    one = [curl(f"http://127.0.0.1:{port}/bench/kept.vmab", "-o", "/dev/null", "-r", f"{at}-{min(at + step, size) - 1}")
           for at in range(0, size, step)]
    return "set -e; pids=; " + "".join(" ".join(f"'{word}'" for word in words) + " & pids=\"$pids $!\"; " for words in one) + \
        "for pid in $pids; do wait $pid; done"


def rows(vmabak, port, size):
    return {
        "vmabak backup": f"'{vmabak}' backup -q -o s3://bench/new.vmab root=in.raw",
        "rclone copyto": "rclone -q copyto in.raw store:bench/new.raw",
        "vmabak restore": f"'{vmabak}' restore -q s3://bench/kept.vmab -C out",
        "rclone cat to vmabak restore": f"mkdir out && rclone -q cat store:bench/kept.vmab | '{vmabak}' restore -q - -C out",
        f"{N_READERS} times curl, to nowhere": read_ranges(port, size),
        "vmabak verify": f"'{vmabak}' verify -q s3://bench/kept.vmab",
    }


def run(commands, env):
    seconds, peak = {name: [] for name in commands}, {name: 0 for name in commands}
    for number in range(ROUNDS + 1):
        for name in random.Random(number).sample(list(commands), len(commands)):
            remove_outputs(env)
            took, memory = measure(commands[name], env)
            print(f"round {number}: {name}: {took:.2f} s", file=sys.stderr)
            if number > 0:
                seconds[name].append(took)
                peak[name] = max(peak[name], memory)
            elif "restore" in name:
                subprocess.check_call(["cmp", "in.raw", "out/root.raw"])
    return seconds, peak


def tell(seconds, peak):
    print("| what | seconds: median (min to max) | peak MiB |\n|---|---|---:|")
    for name, took in seconds.items():
        print(f"| {name} | {statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f}) | {peak[name]:.0f} |")
    print("\n| work | against | at least | measured | |\n|---|---|---:|---:|---|")
    for ours, other, least in (("vmabak backup", "rclone copyto", 1.0), ("vmabak restore", "rclone cat to vmabak restore", 1.2),
                               ("vmabak restore", f"{N_READERS} times curl, to nowhere", None)):
        speed = statistics.median(b / a for a, b in zip(seconds[ours], seconds[other]))
        judged = "" if least is None else "reached" if speed >= least else "missed"
        print(f"| speed of {ours} | {other} | {least or ''} | {speed:.2f} | {judged} |")


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: store.py VMABAK")
    vmabak = os.path.realpath(sys.argv[1])
    for name in "radosgw", "ceph-osd", "ceph-mon", "rclone", "curl":
        if shutil.which(name) is None:
            print(f"skipped: {name} is not there")
            sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="vmabak-bench-store.", dir=os.environ.get("BENCH_DIR", "/var/tmp")) as folder:
        os.chdir(folder)
        port = free_port()
        env = environment(port)
        try:
            subprocess.check_call([SOURCE / "tests/stores/ceph.sh", "ceph", str(port)], env=env)
            subprocess.check_call(curl(f"http://127.0.0.1:{port}/bench", "-X", "PUT"), stdout=subprocess.DEVNULL, env=env)
            with open("in.raw", "wb") as out:
                for _ in range(MIB):
                    out.write(os.urandom(1 << 20))
            subprocess.check_call([vmabak, "backup", "-q", "-o", "kept.vmab", "root=in.raw"], env=env)
            size = os.path.getsize("kept.vmab")
            subprocess.check_call(["rclone", "-q", "moveto", "kept.vmab", "store:bench/kept.vmab"], env=env)
            print(f"{MIB} MiB of random data, {ROUNDS} rounds; {subprocess.check_output(['ceph', '--version'], text=True, env=env).strip()}; "
                  f"{subprocess.check_output(['rclone', '--version'], text=True, env=env).splitlines()[0]}; load {os.getloadavg()[0]:.1f}\n", flush=True)
            tell(*run(rows(vmabak, port, size), env))
        finally:
            stop(folder)
            os.chdir("/")


def stop(folder):
    pids = [int(path.read_text()) for path in pathlib.Path(folder).glob("ceph/run/*.pid") if path.read_text().strip()]
    for pid in pids:
        os.kill(pid, 15)
    until = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)


main()
