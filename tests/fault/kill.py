#!/usr/bin/python3
"""usage: kill.py [--seed N] VMABAK N

Kills backups and restores, N of each, at moments chosen by chance, and looks at what is left:

* under the final name of an archive there is nothing, or what was there before, or an archive that
  verifies and is the right one;
* under the final name of a restored drive there is nothing or the whole drive; where it was
  overwritten in place, doing it again with --force makes it right;
* what a killed run left behind disturbs no later one.

Prints figures; exit 1 when something was wrong, or when hardly any was killed in the middle."""
import argparse
import filecmp
import os
import random
import subprocess
import sys
import tempfile
import time

SIZE = 6 << 20
RATE = "--rate=75M"  # so that the kills have something to fall into


class Wrong(Exception):
    pass


def demand(condition, text):
    if not condition:
        raise Wrong(text)


class Killer:
    def __init__(self, vmabak, seed):
        self.vmabak, self.chance = vmabak, random.Random(seed)
        self.seconds = {}      # how long a run of this kind takes unharmed
        self.n_killed = self.n_done = self.n_new = self.n_kept = self.n_middle = 0

    def run(self, *command):
        return subprocess.run([self.vmabak, *command], capture_output=True, check=False, timeout=120)

    def measure(self, *command):
        begin = time.monotonic()
        self.must(*command)
        self.seconds[command[0]] = time.monotonic() - begin

    def must(self, *command):
        done = self.run(*command)
        demand(done.returncode == 0, f"{' '.join(command)}: {done.returncode} {done.stderr.decode()}")

    def kill(self, *command):
        """Runs it, and kills it at some moment of the time that it takes."""
        # a part of the moments is near the end, where names are given
        share = self.chance.choice((self.chance.uniform(0, 1.1), self.chance.uniform(0.8, 1.1)))
        begin = time.monotonic()
        process = subprocess.Popen([self.vmabak, *command], stderr=subprocess.DEVNULL)
        try:
            process.wait(self.seconds[command[0]] * share)
            self.n_done += 1
            # a busy machine was slower when it was measured
            self.seconds[command[0]] = min(self.seconds[command[0]], time.monotonic() - begin)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.n_killed += 1
            # the next run of the kind removes it
            self.n_middle += bool(parts())

    def check_archive(self, name, old, new):
        """old: the archive that was there, or None; new: what it is to become."""
        if not os.path.exists(name):
            demand(old is None, f"{name}: what was there is gone")
            return
        self.must("verify", "-q", name)
        is_old, is_new = old and filecmp.cmp(name, old, False), filecmp.cmp(name, new, False)
        demand(is_old or is_new, f"{name}: neither what was there nor what is to come")
        self.n_new += bool(is_new)
        self.n_kept += bool(is_old)

    def backup(self, number):
        name = "killed.vmab"
        with_old = number % 2 == 1
        if os.path.exists(name):
            os.unlink(name)
        if with_old:
            os.link("old.vmab", name)
        uuid = "--uuid=01020304-0506-0708-090a-0b0c0d0e0f10"
        self.kill("backup", RATE, uuid, *(["--force"] if with_old else []), "-o", name, "disk0=a.raw")
        self.check_archive(name, "old.vmab" if with_old else None, "new.vmab")

    def restore(self, number):
        name = "back/disk0.raw"
        os.makedirs("back", exist_ok=True)
        in_place = number % 2 == 1
        if in_place:
            with open(name, "wb") as file:
                file.write(b"\xff" * SIZE)
        elif os.path.exists(name):
            os.unlink(name)
        self.kill("restore", RATE, *(["--force"] if in_place else []), "new.vmab", "-C", "back")
        if in_place:
            self.must("restore", "-q", "--force", "new.vmab", "-C", "back")
        demand(not os.path.exists(name) or filecmp.cmp(name, "a.raw", False),
               f"{name}: is not the drive")

    def prepare(self):
        os.environ["SOURCE_DATE_EPOCH"] = "1700000000"
        chance = random.Random(1)
        for name in ("b.raw", "a.raw"):
            with open(name, "wb") as file:
                file.write(chance.randbytes(SIZE // 2) + bytes(SIZE // 4) + chance.randbytes(SIZE // 4))
        uuid = "--uuid=01020304-0506-0708-090a-0b0c0d0e0f10"
        self.must("backup", "-q", uuid, "-o", "new.vmab", "disk0=a.raw")
        self.measure("backup", "-q", RATE, "-o", "old.vmab", "disk0=b.raw")
        self.measure("restore", "-q", RATE, "old.vmab", "-C", "back")


def parts():
    return [name for folder in (".", "back") if os.path.isdir(folder)
            for name in os.listdir(folder) if name.endswith(".part")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("vmabak")
    parser.add_argument("n", type=int)
    options = parser.parse_args()
    killer = Killer(os.path.abspath(options.vmabak), options.seed)
    home = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="vmabak-kill-") as folder:
        os.chdir(folder)
        try:
            killer.prepare()
            number = 0
            while number < options.n or killer.n_killed <= options.n and number < 5 * options.n:
                killer.backup(number)
                killer.restore(number)
                number += 1
            demand(killer.n_middle > 0 and killer.n_killed > options.n,
                   f"only {killer.n_killed} killed, {killer.n_middle} in the middle")
        except Wrong as error:
            print(f"seed {options.seed}: {error}")
            return 1
        finally:
            os.chdir(home)
    print(f"{killer.n_killed} runs killed, {killer.n_middle} of them while writing, {killer.n_done} were done "
          f"before; {killer.n_kept} archives were still the old one, {killer.n_new} the new one; "
          "0 wrong")
    return 0


if __name__ == "__main__":
    sys.exit(main())
