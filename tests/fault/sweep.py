#!/usr/bin/python3
"""usage: sweep.py [--long] [--jobs N] [--sanitized] VMABAK FAULT.SO [CASE]...

Makes the 1st, 2nd, ... n-th call of each kind fail, once and for ever, until a run has no failure
left, and looks each time at what came of it:

* the exit code fits the failure, or the failure was harmless and the result is that of a good run;
* standard error has one line, which begins with "vmabak: " and names the thing;
* what was there before is as it was, and there is nothing new: no file under the final name, and
  none under a temporary one; where files are overwritten in place, doing it again makes them right;
* nothing crashes or hangs.

Interruptions and short reads and writes must change nothing at all. Without --long the n go up
faster and faster, for each command in other steps. --sanitized: VMABAK was built with the address sanitizer, which then also says
what was not freed. Prints what was wrong, and
figures at the end; exit 1 if anything was."""
import argparse
import concurrent.futures
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib

sys.dont_write_bytecode = True  # tests leave nothing behind
import sweep_serve

EIO, ENOMEM, EAGAIN, EACCES, EMFILE, ENOSPC, EINTR = 5, 12, 11, 13, 24, 28, 4
FAILED, WARNED, FULL = 1, 3, 6
# call: the errors it is made to fail with, and the exit codes that fit each
CALLS = {
    "read": {EIO: {FAILED}}, "pread": {EIO: {FAILED}},
    "write": {EIO: {FAILED}, ENOSPC: {FULL}}, "writev": {EIO: {FAILED}, ENOSPC: {FULL}},
    "pwrite": {EIO: {FAILED}, ENOSPC: {FULL}}, "fsync": {EIO: {FAILED}, ENOSPC: {FULL}},
    "fallocate": {EIO: {FAILED}}, "ftruncate": {EIO: {FAILED}, ENOSPC: {FULL}},
    "mmap": {ENOMEM: {FAILED}}, "malloc": {ENOMEM: {FAILED}},
    "rename": {EIO: {FAILED}, ENOSPC: {FULL}}, "close": {EIO: {FAILED}, ENOSPC: {FULL}},
    "open": {EACCES: {FAILED}, EMFILE: {FAILED}}, "lseek": {EIO: {FAILED}},
    "getrandom": {EAGAIN: {FAILED}}, "thread": {EAGAIN: {FAILED}},
}
TIMEOUT_S = 60
UUID = "01020304-0506-0708-090a-0b0c0d0e0f10"


class Case:
    """A command in a folder with the inputs; out/ is where results go."""

    def __init__(self, name, command, before=(), in_place=False, without=(), keeps=False, warns=False, removes=False, resumes=False):
        self.name, self.command = name, command.split()
        self.before = dict(before)      # what is in out/ before: name to input
        self.in_place = in_place        # what is in out/ is overwritten, not replaced
        self.keeps = keeps              # what was finished before a failure stays
        self.without = without          # calls that are not made to fail
        self.warns = warns              # sums are not worth a failure, nor is a parent that can be done without
        self.removes = removes          # files, one after the other
        self.resumes = resumes          # what is left is taken up


BACKUP = f"--threads 1 --uuid {UUID} disk0=a.raw disk1=b.raw -c a.conf"
DRIVES = BACKUP.replace(f"--uuid {UUID} ", "")  # random numbers are the same in each run
CHILD = BACKUP.replace(UUID, "01020304-0506-0708-090a-0b0c0d0e0f30")
# a message must name one of these
THINGS = ("out", "a.raw", "b.raw", "a.conf", "qemu-server.conf", "a.vma", "b.vmab", "b.sums", "a.list", "c.raw", "bad.vmab", "memory", "random numbers", "thread", "access to other files")
CASES = [
    Case("backup", f"backup -o out/x.vmab {BACKUP}"),
    Case("backup-force", f"backup --force -o out/x.vmab {BACKUP}", {"x.vmab": "old"}),
    Case("backup-resume", f"backup -q --resume -o out/x.vmab {BACKUP}", {".x.vmab.resume.part": "kept/part"}, resumes=True),
    Case("backup-resume-anew", f"backup -q --resume -o out/x.vmab {BACKUP}", {".x.vmab.resume.part": "c.vmab"}, resumes=True),
    Case("restore-resume", "restore --threads 1 --resume a.vmab -d disk0=out/disk0.raw", {".disk0.raw.resume.part": "old"}, resumes=True),
    Case("backup-vma", f"backup -o out/x.vma {BACKUP}"),
    Case("backup-gzip", f"backup -o out/x.vma.gz {BACKUP}"),
    Case("backup-records", f"backup --record-size 64K -o out/x.vmab {BACKUP}"),
    Case("backup-vzdump", f"backup -o out/vzdump-qemu-1.vma --threads 1 --uuid {UUID} drive-scsi0=a.raw -c qemu-server.conf"),
    Case("restore", "restore --threads 1 a.vmab -C out/new"),
    Case("restore-vma", "restore --threads 1 a.vma -C out/new"),
    Case("restore-gzip", "restore --threads 1 a.vma.gz -C out/new"),
    # libarchive itself crashes without memory
    Case("restore-zstd", "restore --threads 1 a.vma.zst -C out/new", without=("malloc",)),
    Case("restore-one", "restore --threads 1 a.vmab -d disk1=out/one.raw"),
    Case("restore-force", "restore --threads 1 --force a.vmab -C out",
         {"disk0.raw": "old", "disk1.raw": "old", "a.conf": "old"}, in_place=True),
    Case("verify", "verify --threads 1 a.vmab"),
    Case("verify-quick", "verify --quick --threads 1 a.vmab"),
    Case("verify-zstd", "verify --threads 1 a.vma.zst", without=("malloc",)),
    # an archive that cannot seek is listed like one from a pipe
    Case("list", "list a.vmab", without=("lseek",)),
    Case("list-json", "list --json a.vma"),
    Case("list-two", "list a.vma a.vmab", without=("lseek",)),
    Case("config", "config a.vmab a.conf"),
    Case("convert", "convert --threads 1 a.vmab -o out/x.vma"),
    Case("convert-force", "convert --threads 1 --force a.vma -o out/x.vmab", {"x.vmab": "old"}),
    Case("salvage", "salvage a.vmab -C out/new --map out/map", keeps=True),
    Case("salvage-damaged", "salvage bad.vmab -C out/new", keeps=True),
    # what cannot be read of a parent is lost, which is no failure
    Case("salvage-chain", "salvage b.vmab a.vmab -C out/new --map out/map", keeps=True, without=("read", "pread", "lseek")),
    Case("salvage-vma", "salvage a.vma -C out/new", keeps=True),
    Case("backup-parent", f"backup --parent b.vmab -o out/x.vmab {CHILD}", warns=True),
    Case("backup-sums", f"backup --force --parent b.sums -o out/x.vmab {CHILD}", {"x.vmab": "old"}, warns=True),
    Case("backup-to", f"backup --to out --name x {DRIVES}", {"x-2023-11-14T221319Z.vmab": "a.vmab"}, warns=True),
    Case("prune", "prune out --keep-last 1", {"x-2023-11-14T221319Z.vmab": "a.vmab", "x-2023-11-14T221320Z.vmab": "b.vmab",
                                              "x-2023-11-14T221320Z.vmab.sums": "b.sums",
                                              "x-2023-11-14T221321Z.vmab": "c.vmab"}, warns=True, removes=True),
    Case("prune-merge", "prune out --keep-last 1 --merge",
         {"x-2023-11-14T221319Z.vmab": "a.vmab", "x-2023-11-14T221320Z.vmab": "b.vmab"}, warns=True, removes=True),
    Case("backup-changed", f"backup --parent b.sums --changed disk1=a.list --audit 1/1 -o out/x.vmab {CHILD}".replace("b.raw", "c.raw"), warns=True),
    Case("changes", "changes a.list"),
    Case("sums", "sums b.vmab -o out/x.sums"),
    Case("sums-force", "sums --force b.vmab -o out/x.sums", {"x.sums": "old"}),
    Case("diff", "diff a.vmab b.vmab"),
    Case("restore-chain", "restore --threads 1 b.vmab -C out/new"),
    Case("restore-chain-force", "restore --threads 1 --force b.vmab a.vmab -d disk0=out/disk0.raw",
         {"disk0.raw": "old"}, in_place=True),
    Case("merge", "merge --threads 1 b.vmab -o out/x.vmab"),
    Case("merge-force", "merge --force --threads 1 b.vmab a.vmab -o out/x.vma", {"x.vma": "old"}),
    Case("verify-chain", "verify --chain --threads 1 b.vmab a.vmab"),
    Case("restore-rollback", "restore --rollback --threads 1 b.vmab -d disk0=out/disk0.raw", {"disk0.raw": "old"}, in_place=True),
    # the order of calls is not the same each time: a sample
    Case("backup-threads", f"backup -o out/x.vmab {BACKUP}".replace("--threads 1", "--threads 2")),
    Case("restore-threads", "restore --threads 2 a.vmab -C out/new"),
]


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def make_inputs(folder, vmabak):
    """Two drives with data, zeros and a partial end; archives of them; something older."""
    chance = random.Random(1)
    drives = {"a.raw": chance.randbytes(70000) + bytes(200000) + b"text " * 9000 + b"end",
              "b.raw": bytes(65536) + chance.randbytes(5000) + bytes(100000 - 70536)}
    for name, data in {**drives, "a.conf": b"cores: 2\n", "qemu-server.conf": b"scsi0: a:b\n", "old": b"as it was\n" * 30000}.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
    for name in ("a.vmab", "a.vma", "a.vma.gz", "a.vma.zst"):
        subprocess.run([vmabak, "backup", "-q", "-o", name, *BACKUP.split()], cwd=folder, check=True)
    with open(os.path.join(folder, "c.raw"), "wb") as file:
        file.write(b"changed" + drives["b.raw"][7:])
    subprocess.run([vmabak, "backup", "-q", "-o", "b.vmab", "--parent", "a.vmab", "--threads", "1", "--uuid", UUID[:-2] + "20",
                    "--token", "disk1=b", "disk0=a.raw", "disk1=c.raw", "-c", "a.conf"], cwd=folder, check=True)
    subprocess.run([vmabak, "sums", "-q", "b.vmab", "-o", "b.sums"], cwd=folder, check=True)
    with open(os.path.join(folder, "a.list"), "w", encoding="ascii") as file:
        file.write("# vmabak changes 1\n# size 100000\n# since b\n# until c\n0 7\n# end 1\n")
    # with a uuid of its own: else it could be taken for a parent
    subprocess.run([vmabak, "backup", "-q", "-o", "bad.vmab", *BACKUP.replace(UUID, UUID[:-2] + "40").split()], cwd=folder, check=True)
    subprocess.run([vmabak, "backup", "-q", "-o", "c.vmab", *BACKUP.replace(UUID, UUID[:-2] + "50").split()], cwd=folder, check=True)
    # in a folder of its own: it has the uuid of the parent
    os.mkdir(os.path.join(folder, "kept"))
    subprocess.run([vmabak, "backup", "-q", "-o", "kept/whole.vmab", *BACKUP.split()], cwd=folder, check=True,
                   env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    with open(os.path.join(folder, "kept/part"), "wb") as file:
        file.write(read_file(os.path.join(folder, "kept/whole.vmab"))[:60000] + bytes(3000))
    good = read_file(os.path.join(folder, "bad.vmab"))
    with open(os.path.join(folder, "bad.vmab"), "wb") as file:
        file.write(good[:20000] + bytes(8192) + good[28192:])


def snapshot(folder):
    found = {}
    for path, folders, names in os.walk(folder):
        inner = os.path.relpath(path, folder)
        found.update({os.path.join(inner, name) + "/": b"" for name in folders})
        found.update({os.path.join(inner, name): read_file(os.path.join(path, name))
                      for name in names})
    return found


class Runner:
    """Runs one case again and again, in a folder of its own."""

    def __init__(self, case, options, folder):
        self.case, self.options, self.folder = case, options, folder
        self.out, self.mark = os.path.join(folder, "out"), os.path.join(folder, ".mark")
        self.n_runs = self.n_faults = self.n_harmless = 0
        self.failures = []
        self.ends = {}      # for a call: an n that a run does not get to
        make_inputs(folder, options.vmabak)
        self.reset()
        self.before = snapshot(self.out)
        code, self.stdout, stderr = self.run({})
        # a salvage of what is damaged tells that something is lost: 5; what differs: 4
        self.done = {"salvage-damaged": 5, "diff": 4}.get(case.name, 0)
        if code != self.done:
            sys.exit(f"sweep.py: {case.name} without any fault: {code} {stderr}")
        self.reference = snapshot(self.out)

    def reset(self):
        shutil.rmtree(self.out, ignore_errors=True)
        os.mkdir(self.out)
        for name, source in self.case.before.items():
            shutil.copyfile(os.path.join(self.folder, source), os.path.join(self.out, name))

    def run(self, fault):
        environment = {**os.environ, "TMPDIR": self.out, "SOURCE_DATE_EPOCH": "1700000000", "LC_ALL": "C",
                       **{name: str(value) for name, value in fault.items()}}
        environment.update(LD_PRELOAD=self.options.fault, FAULT_RANDOM="1")
        if fault:
            environment.update(FAULT_MARK=self.mark)
        if self.options.sanitized:
            # exit code 99: a leak, or worse; ours stands before its own functions
            environment["ASAN_OPTIONS"] = ("verify_asan_link_order=0:allocator_may_return_null=1:"
                                           "exitcode=99:detect_leaks=1")
        command = [self.options.vmabak, *self.case.command]
        try:
            done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True,
                                  stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return None, b"", "hangs"
        self.n_runs += 1
        return done.returncode, done.stdout, done.stderr.decode(errors="replace")

    def one(self, call, at, how, error, codes):
        """One run with a fault. Returns whether there was one."""
        self.reset()
        if os.path.exists(self.mark):
            os.unlink(self.mark)
        code, stdout, stderr = self.run({"FAULT_CALL": call, "FAULT_AT": at, "FAULT_HOW": how,
                                         "FAULT_ERRNO": error})
        injected = os.path.exists(self.mark) and os.path.getsize(self.mark) > 0
        wrong = self.judge(call, code, stdout, stderr, codes if injected else ())
        self.n_faults += injected
        self.n_harmless += injected and code == self.done
        if wrong:
            self.failures.append(f"{self.case.name}: {call} {how} {at}, error {error}: {wrong}")
        return injected

    def judge(self, call, code, stdout, stderr, codes):
        """What is wrong with a run, or None."""
        found = snapshot(self.out)
        if self.options.sanitized and "CHECK failed: sanitizer" in stderr:
            return None  # it wanted that memory for itself
        if code in (self.done, WARNED) and codes and self.case.keeps:
            if "reading stopped early: " in stderr and self.is_part(found):
                return None
        if code == self.done:
            if found != self.reference and not self.is_as_good():
                return f"done, but another result: {difference(found, self.reference)}"
            return None if stdout == self.stdout else "done, but says something else"
        if code == WARNED and self.case.warns and codes:
            return self.judge_warned(found, stderr)
        if code not in codes:
            return f"exit code {code}, not of {set(codes)}: {stderr.strip()}"
        lines = stderr.splitlines()
        if not lines or not all(line.startswith("vmabak: ") for line in lines):
            return f"says {stderr.strip()!r}"
        if not any(thing in lines[-1] for thing in THINGS):
            return f"names nothing: {lines[-1]}"
        return self.judge_left(call, found)

    def judge_warned(self, found, stderr):
        """All is done but for the sums, or otherwise: as a full archive."""
        if "vmabak: warning: " not in stderr:
            return f"warns of nothing: {stderr.strip()!r}"
        if self.case.removes:
            return self.judge_removed(found)
        new = {name for name in self.reference if name not in self.before}
        if {name for name in found if not name.endswith(".sums")} != {name for name in self.reference if not name.endswith(".sums")}:
            return f"left {difference(found, self.reference)}"
        if all(found[name] == self.reference[name] for name in found if name in new):
            return None
        return None if self.is_as_good() else f"done with warnings, but another result: {difference(found, self.reference)}"

    def judge_removed(self, found):
        """What is to stay is there, and restores; what is not there was to go."""
        missing = [name for name in self.reference if name not in found and not name.endswith(".sums")]
        if missing or not set(found) <= set(self.before) | set(self.reference):
            return f"left {difference(found, self.reference)}"
        kept = [name for name in self.reference if name.endswith(".vmab")]
        for name in kept:
            code = subprocess.run([self.options.vmabak, "restore", "-q", "--force", name, "-C", "../check"],
                                  cwd=self.out, capture_output=True, check=False).returncode
            if code != 0:
                return f"{name} does not restore any more"
        return None

    def is_part(self, found):
        """Of what a salvage gives, with zeros for the rest, which it has told to be lost."""
        return all(name in self.reference and len(data) == len(self.reference[name]) and
                   all(one in (0, other) for one, other in zip(data, self.reference[name]) if one != other)
                   for name, data in found.items())

    def is_as_good(self):
        """An archive of other bytes, as without the memory to compress, that gives the same drives."""
        archive = sorted(name for name in os.listdir(self.out) if name.startswith("x") and not name.endswith(".sums"))[-1:]
        if not archive:
            return False
        left = set(os.listdir(self.out))
        # a merge is of the newest
        second = "c.raw" if "c.raw" in self.case.command or "merge" in self.case.name else "b.raw"
        parents = ["../b.vmab", "../a.vmab"] if "--parent" in self.case.command else []
        code = subprocess.run([self.options.vmabak, "restore", "-q", archive[0], *parents, "-C", "check"],
                              cwd=self.out, capture_output=True, check=False).returncode
        same = code == 0 and all(
            read_file(os.path.join(self.out, "check", name)).rstrip(b"\0") ==
            read_file(os.path.join(self.folder, source)).rstrip(b"\0")
            for name, source in (("disk0.raw", "a.raw"), ("disk1.raw", second), ("a.conf", "a.conf")))
        return same and left <= {os.path.basename(name) for name in self.reference}

    def judge_left(self, call, found):
        # A command line without memory ends at once: the file of its lock stays, and does no harm.
        if call == "malloc":
            found = {name: data for name, data in found.items() if not name.endswith(".lock")}
        if self.case.resumes:
            return self.judge_kept(found)
        if found == self.before:
            return None
        if self.case.removes:
            return self.judge_removed(found)
        # A name was given, and then its folder could not be synced: too late to take it back
        # where it replaced something, and what is there is whole.
        archives = {name: data for name, data in self.reference.items() if not name.endswith(".sums")}
        if call == "fsync" and found in (self.reference, archives) and self.case.before:
            return None
        if self.case.keeps and all(self.reference.get(name) == found[name] for name in found):
            return None
        if not self.case.in_place:
            return f"failed, but left {difference(found, self.before)}"
        if set(found) != set(self.before):
            return f"failed, but left the files {sorted(set(found) ^ set(self.before))}"
        code, _, stderr = self.run({})
        if code != 0 or snapshot(self.out) != self.reference:
            return f"done again it is not right: {stderr.strip()}"
        return None

    def judge_kept(self, found):
        """Nothing is there but what was, or is, to be taken up, and doing it again makes it right."""
        if not set(found) <= set(self.before):
            return f"failed, but left the files {sorted(set(found) - set(self.before))}"
        code, _, stderr = self.run({})
        if code != 0 or snapshot(self.out) != self.reference:
            return f"done again it is not right: {stderr.strip()}"
        return None

    def sweep(self, call, how, error, codes):
        at, part = 1, 3 if how == "once" else 2  # what goes on failing soon ends the run
        shift = zlib.crc32(self.case.name.encode()) % part
        while at < self.ends.get(call, at + 1):
            if not self.one(call, at, how, error, codes):
                if not self.options.long:
                    self.ends[call] = at
                break
            at += 1 if self.options.long else 1 + (at + shift) // part

    def all_calls(self):
        for call, errors in CALLS.items():
            for number, (error, codes) in enumerate(errors.items() if call not in self.case.without else ()):
                # a sanitizer itself cannot go on without memory; another error is another exit code, but no other way
                one = self.options.sanitized and call == "malloc" or number > 0 and not self.options.long
                for how in ("once",) if one else ("once", "ever"):
                    self.sweep(call, how, error, codes)
        # Interrupted again and again, and only half of what was asked: nothing fails.
        for at in (2, 3, 5):
            self.one("interruptible", at, "every", EINTR, ())
        for call in ("read", "pread", "write", "pwrite", "writev"):
            for how, at in (("every", 1), ("every", 2), ("once", 1), ("once", 2), ("ever", 3)):
                self.one(call, at, how, 0, ())


def difference(found, wanted):
    names = sorted(set(found) ^ set(wanted))
    return ", ".join(names) if names else "other content in " + ", ".join(
        name for name in found if found[name] != wanted[name])


def run_case(case, options):
    if isinstance(case, str):
        return sweep_serve.run_case(case, options)
    with tempfile.TemporaryDirectory(prefix="vmabak-fault-") as folder:
        runner = Runner(case, options, folder)
        runner.all_calls()
        return runner


def serve_cases(options):
    """Names of those of sweep_serve.py; a sanitizer itself cannot go on without memory."""
    try:
        import nbd  # noqa: F401
    except ImportError:
        print("skipped: the cases of serve: python has no nbd (python3-libnbd)")
        return []
    if not shutil.which("certtool"):
        print("skipped: serve-tls: no certtool here")
    return [name for name in sweep_serve.CASES
            if (name in options.cases or (not options.cases and not options.sanitized)) and
            (name != "serve-tls" or shutil.which("certtool"))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sanitized", action="store_true")
    parser.add_argument("vmabak")
    parser.add_argument("fault")
    parser.add_argument("cases", nargs="*")
    options = parser.parse_args()
    options.vmabak, options.fault = map(os.path.abspath, (options.vmabak, options.fault))
    cases = [case for case in CASES if not options.cases or case.name in options.cases]
    cases += serve_cases(options)
    lock, n_runs, n_faults, n_harmless, n_failures = threading.Lock(), 0, 0, 0, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for runner in pool.map(lambda case: run_case(case, options), cases):
            with lock:
                n_runs += runner.n_runs
                n_faults += runner.n_faults
                n_harmless += runner.n_harmless
                n_failures += len(runner.failures)
            for failure in runner.failures:
                print(failure, flush=True)
    print(f"{n_faults} faults in {n_runs} runs of {len(cases)} commands, {n_harmless} of them "
          f"without effect; {n_failures} with a wrong outcome")
    return 1 if n_failures or not n_faults else 0


if __name__ == "__main__":
    sys.exit(main())
