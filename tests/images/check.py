#!/usr/bin/python3
"""usage: check.py [--vmabak PATH] [NAME]...

Compiles the texts beside this file, or those named, and holds both readers to what they expect: the
program (verify, list, restore, salvage), and spec/restore.py. Of restore.py the verdict is checked; of the
program also the byte and the words. What both restore from a good archive must be what the text
says. Prints a line for each failure; exit 1 if there is one."""
import argparse
import functools
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import traceback

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree

import compile as images
import xxhash  # noqa: F401  # what restore.py takes is there when it is forked
import zstandard  # noqa: F401

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
RESTORE_PY = os.path.join(ROOT, "spec", "restore.py")
EXIT = {"ok": 0, "damaged": 4, "incomplete": 4, "unsupported": 1}
SIGN = {"incomplete": "incomplete", "unsupported": "not supported"}
MEBIBYTE = 1 << 20


class Wrong(Exception):
    pass


def demand(condition, text):
    if not condition:
        raise Wrong(text)


def run(command, stdin=None):
    with open(stdin or os.devnull, "rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode().strip()


@functools.cache
def restore_code():
    with open(RESTORE_PY, encoding="utf-8") as file:
        return compile(file.read(), RESTORE_PY, "exec")


def as_program(code, arguments):
    """In a child: ends with the exit code that the program would have."""
    sys.argv = arguments
    result = 0
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as end:
        result = end.code or 0
        if isinstance(result, str):
            print(result, file=sys.stderr)
            result = 1
    except BaseException:
        traceback.print_exc()
        result = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(result)


def restore_py(arguments, stdin=None):
    """As run() of that program, in a fork of this process: to start Python takes longer than what it is to do."""
    code = restore_code()
    with open(stdin or os.devnull, "rb") as file, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            for number, stream in enumerate((file, out, err)):
                os.dup2(stream.fileno(), number)
            signal.alarm(120)
            as_program(code, [RESTORE_PY, *arguments])
        done = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        return done, out.read().decode(), err.read().decode().strip()


def verdict_of(code, message):
    """The verdict that exit code and message stand for together."""
    if code == 0:
        return "ok"
    found = [verdict for verdict, sign in SIGN.items() if sign in message and EXIT[verdict] == code]
    return found[0] if found else "damaged" if code == 4 else f"exit code {code}"


def data_runs(path):
    """Where a sparse file has data: (begin, end) pairs."""
    with open(path, "rb") as file:
        at, size = 0, os.fstat(file.fileno()).st_size
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            yield at, end
            at = end


def same_bytes(one, other):
    """Compares two files that may have holes of terabytes."""
    if os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        for begin, end in [*data_runs(one), *data_runs(other)]:
            for at in range(begin, end, MEBIBYTE):
                size = min(MEBIBYTE, end - at)
                if os.pread(first.fileno(), size, at) != os.pread(second.fileno(), size, at):
                    return False
    return True


def compare_folders(found, wanted, who):
    demand(sorted(os.listdir(found)) == sorted(os.listdir(wanted)),
           f"{who} restored {sorted(os.listdir(found))}, not {sorted(os.listdir(wanted))}")
    for name in os.listdir(wanted):
        demand(same_bytes(os.path.join(found, name), os.path.join(wanted, name)),
               f"{who} restored {name} with other content")


class Case:
    """One text, compiled into a folder of its own."""

    def __init__(self, path, folder, vmabak):
        self.folder, self.vmabak = folder, vmabak
        self.image = images.load(path)
        self.archive = os.path.join(folder, "archive")
        data = self.image.build()
        with open(self.archive, "wb") as file:
            file.write(data)
        digest = hashlib.sha256(data).hexdigest()
        demand(self.image.golden in (None, digest),
               f"is not the archive of earlier versions any more: its sha256 is {digest}")
        self.verdict, self.at, self.words = self.image.expectation()
        self.image.restore, _, self.refusal = (self.image.restore or "").partition(": ")
        self.image.restore = self.image.restore or None
        self.wanted = os.path.join(folder, "wanted")
        if self.verdict == "ok" and self.image.restore != "untried":
            self.image.write_content(self.wanted)

    def check_name(self, name):
        kind = name.split("-")[0]
        fits = {"ok": "good", "unsupported": "unsupported"}.get(self.verdict, "bad")
        demand(kind == fits, f"is called {kind}, but expects {self.verdict}")

    def check_verdict(self, who, code, message):
        found = verdict_of(code, message)
        demand(found == self.verdict, f"{who}: {found}, expected {self.verdict}: {message}")
        demand("Traceback" not in message and code < 128, f"{who} crashed: {message}")
        demand(self.verdict == "ok" or "\n" not in message, f"{who}: several lines: {message}")

    def new_folder(self, who):
        """For a restore: so deep that names like ../../x still lead to where they are noticed."""
        folder = os.path.join(self.folder, "in", "side", who)
        os.makedirs(folder)
        return folder

    def check_outside(self, who):
        for folder, known in (("", {"archive", "wanted", "in"}), ("in", {"side"}),
                              ("in/side", {"restore.py", "vmabak", "salvage"})):
            strange = set(os.listdir(os.path.join(self.folder, folder))) - known
            demand(not strange, f"{who} wrote outside its folder: {strange}")

    def check_left(self, who, folder, left):
        """What has a harmless name may be there, if it is whole."""
        for name in (name for name in left if not name.endswith(".part")):
            wanted = os.path.join(self.wanted, name)
            demand(os.path.exists(wanted) and same_bytes(os.path.join(folder, name), wanted),
                   f"{who} left {name}")

    def check_restored(self, who, folder, code, message):
        """After a restore of whatever kind: what is in the folder is right, or nothing is."""
        if self.verdict == "ok" and self.image.restore is None:
            demand(code == 0, f"{who}: exit code {code}: {message}")
            compare_folders(folder, self.wanted, who)
            return
        if self.verdict == "ok" and self.image.restore == "untried":
            return
        if self.verdict == "ok":
            demand(code != 0, f"{who}: no word about {self.image.restore}")
        left = os.listdir(folder) if os.path.isdir(folder) else []
        if self.image.restore == "partial" and code == 3:
            compare_folders(folder, self.wanted, who)
        elif self.verdict == "ok":
            self.check_left(who, folder, left)
        else:
            demand(all(name.endswith(".part") for name in left), f"{who} left {left}")
        self.check_outside(who)

    def check_restore_py(self):
        who, folder = "restore.py", self.new_folder("restore.py")
        code, _, message = restore_py([self.archive, folder])
        if self.verdict != "ok" or self.image.restore is None:
            self.check_verdict(who, code, message)
        demand(code == 0 or message.startswith(f"restore.py: {self.archive}: "), f"{who}: {message}")
        self.check_restored(who, folder, code, message)
        if self.verdict == "ok" and code == 0 and os.listdir(folder):
            code, _, message = restore_py([self.archive, folder])
            demand(code == 1 and "exists already" in message, f"{who} overwrites: {message}")
            compare_folders(folder, self.wanted, who)
        if self.verdict == "ok":
            code, listing, message = restore_py(["--list", "-"], self.archive)
            demand(code == 0, f"{who} --list -: {message}")
            n_lines = sum(item["kind"] in ("drive", "config") for item in self.image.items)
            demand(len(listing.splitlines()) == n_lines + 1, f"{who} --list -: {listing}")

    def check_words(self, message):
        """vmabak: FILE: damaged at byte N: text"""
        start = re.escape(f"vmabak: {self.archive}: ")
        found = re.fullmatch(start + r"(?:(?:damaged|incomplete) at )?byte (\d+): (.+)", message)
        demand(found, f"vmabak verify: message without file and byte: {message}")
        demand(self.at in (None, int(found[1])), f"vmabak verify: expected byte {self.at}: {message}")
        demand(self.words in message, f"vmabak verify: expected \"{self.words}\": {message}")

    def check_vmabak(self):
        code, _, message = run([self.vmabak, "verify", self.archive])
        self.check_verdict("vmabak verify", code, message)
        if self.verdict != "ok":
            self.check_words(message)
        else:
            code, _, message = run([self.vmabak, "list", self.archive])
            demand(code == 0, f"vmabak list: {message}")
        folder = self.new_folder("vmabak")
        code, _, message = run([self.vmabak, "restore", self.archive, "-C", folder, "--no-sync"])
        if self.verdict != "ok" and not any(self.image.options["parent"]):
            demand(verdict_of(code, message) == self.verdict, f"vmabak restore: {code}: {message}")
        demand(self.refusal in message, f"vmabak restore: expected \"{self.refusal}\": {message}")
        self.check_restored("vmabak restore", folder, code, message)


    def check_salvage(self):
        """From a good archive all comes; from a bad one some, and no harm is done."""
        folder = self.new_folder("salvage")
        code, _, message = run([self.vmabak, "salvage", "-q", "--no-sync", self.archive, "-C", folder])
        demand(code <= 6, f"vmabak salvage: exit code {code}: {message}")
        self.check_outside("vmabak salvage")
        if self.verdict == "ok" and self.image.restore in (None, "partial"):
            # What an incremental archive leaves to its parents is not there.
            demand(code in ((5,) if self.image.restore == "partial" else (0, 3)), f"vmabak salvage: exit code {code}: {message}")
            compare_folders(folder, self.wanted, "vmabak salvage")


def check_one(path, vmabak):
    """Failures of one text."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            case = Case(path, folder, vmabak)
            case.check_name(os.path.basename(path))
        except (images.Fault, Wrong) as error:
            return [str(error)]
        failures = []
        for check in [case.check_restore_py] + ([case.check_vmabak, case.check_salvage] if vmabak else []):
            try:
                check()
            except (Wrong, subprocess.TimeoutExpired) as error:
                failures.append(str(error).replace(folder + "/", ""))
        return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--vmabak", default=os.environ.get("VMABAK"), metavar="PATH")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if options.vmabak and not os.access(options.vmabak, os.X_OK):
        parser.error(f"no program at {options.vmabak}")
    names = options.names or [name for name in os.listdir(HERE) if name.endswith(".txt")]
    passed = failed = 0
    for name in sorted(os.path.basename(name).removesuffix(".txt") for name in names):
        failures = check_one(os.path.join(HERE, name + ".txt"), options.vmabak)
        for failure in failures:
            print(f"{name}: {failure}", flush=True)
        failed += bool(failures)
        passed += not failures
    print(f"{passed} passed, {failed} failed" + ("" if options.vmabak else " (restore.py alone)"))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
