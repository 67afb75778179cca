#!/usr/bin/python3
"""usage: check.py [--vmabak PATH] [NAME]...

Holds "vmabak changes" to what the texts beside this file, or those named, expect of it: from a file, and through a pipe.
Prints a line for each failure; exit 1 if there is one."""
import argparse
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree

import samples

ROOT = os.path.dirname(os.path.dirname(samples.HERE))


def run(vmabak, folder, sample, piped):
    options = sample.options.replace("older=", f"older={folder}/")
    what = ("/dev/stdin" if piped else os.path.join(folder, "list")) + ("," + options if options else "")
    command = [vmabak, "changes", what] + (["--size", str(sample.size)] if sample.size is not None else [])
    done = subprocess.run(command, input=sample.list if piped else b"", capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def check(vmabak, folder, sample, piped):
    """What is wrong, or an empty text."""
    code, out, err = run(vmabak, folder, sample, piped)
    if code != sample.code:
        return f"exit code {code}, not {sample.code}: {err.strip()}"
    if code == 0:
        return "" if out == sample.own() else f"says:\n{out}expected:\n{sample.own()}"
    if sample.says not in err or not sample.says:
        return f"says: {err.strip()}; expected: {sample.says}"
    return "something is on standard output" if out else ""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmabak", default=os.path.join(ROOT, "build", "release", "vmabak"))
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    failed = passed = 0
    for sample in samples.load_all():
        if options.names and sample.name not in options.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "list"), "wb") as file:
                file.write(sample.list)
            if sample.older is not None:
                with open(os.path.join(folder, "old"), "wb") as file:
                    file.write(sample.older)
            wrong = [f"{how}: {text}" for how, piped in (("file", False), ("pipe", True))
                     if (text := check(os.path.realpath(options.vmabak), folder, sample, piped))]
        failed, passed = failed + bool(wrong), passed + (not wrong)
        for text in wrong:
            print(f"FAILED: {sample.name}: {text}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
