#!/usr/bin/python3
"""usage: vectors.py DIR [--vmabak PATH]

Holds both readers to archives that Proxmox's own tool made: DIR/manifest.json says what is in each.
Every archive is restored from a file and from a pipe, as it is and, where that is not what DIR has,
compressed with zstd. Prints a line for each failure; exit 1 if there is one."""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import zstandard

sys.dont_write_bytecode = True  # leave no __pycache__ in the tree

from check import RESTORE_PY, Wrong, demand


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restorers(vmabak):
    """(name, function of archive and folder to command)"""
    yield "restore.py", lambda archive, folder: [RESTORE_PY, archive, folder]
    if vmabak:
        yield "vmabak", lambda archive, folder: [vmabak, "restore", archive, "-C", folder, "--no-sync"]


def run(command, stdin=None):
    done = subprocess.run(command, input=stdin or b"", capture_output=True, timeout=120, check=False)
    demand(done.returncode == 0, f"{command[0]}: exit code {done.returncode}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def check_folder(folder, entry):
    wanted = {drive["name"] + ".raw": (drive["size_in_archive"], drive["sha256"])
              for drive in entry["drives"]}
    wanted.update({config["name"]: (config["size"], config["sha256"]) for config in entry["configs"]})
    demand(sorted(os.listdir(folder)) == sorted(wanted), f"restored {sorted(os.listdir(folder))}")
    for name, (size, digest) in wanted.items():
        path = os.path.join(folder, name)
        demand(os.path.getsize(path) == size, f"{name} has {os.path.getsize(path)} bytes, not {size}")
        demand(sha256_of(path) == digest, f"{name} has other content")


def check_listing(archive, entry, vmabak):
    """Uuid, names and sizes, as both say them."""
    things = entry["drives"] + entry["configs"]
    listing = run([RESTORE_PY, "--list", archive])
    demand(entry["uuid"] in listing, f"restore.py --list: no uuid {entry['uuid']}")
    for thing in things:
        size = thing.get("size_in_archive", thing.get("size"))
        demand(any(str(size) in line.split() and thing["name"] in line for line in listing.splitlines()),
               f"restore.py --list: no {thing['name']} of {size} bytes")
    if not vmabak:
        return
    run([vmabak, "verify", archive])
    listing = run([vmabak, "list", "--json", archive])
    json.loads(listing)
    demand(entry["uuid"] in listing.replace("-", ""), f"vmabak list: no uuid {entry['uuid']}")
    for thing in things:
        demand(f'"{thing["name"]}"' in listing and str(thing.get("size_in_archive", thing.get("size"))) in listing,
               f"vmabak list: no {thing['name']}, or of another size")


def variants(folder, entry, scratch):
    """The archive as it is, and compressed when it is not."""
    path = os.path.join(folder, entry["file"])
    demand(sha256_of(path) == entry["sha256"], "is not the file that the manifest means")
    yield path
    if not path.endswith(".zst"):
        packed = os.path.join(scratch, entry["file"] + ".zst")
        with open(path, "rb") as file, open(packed, "wb") as out:
            out.write(zstandard.ZstdCompressor().compress(file.read()))
        yield packed


def check_entry(folder, entry, vmabak):
    """Failures of one archive."""
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        for archive in variants(folder, entry, scratch):
            check_listing(archive, entry, vmabak)
            for who, command in restorers(vmabak):
                for name in (archive, "-"):
                    out = tempfile.mkdtemp(dir=scratch)
                    with open(archive, "rb") as file:
                        stdin = file.read() if name == "-" else None
                    try:
                        run(command(name, out), stdin)
                        check_folder(out, entry)
                    except (Wrong, subprocess.TimeoutExpired) as error:
                        failures.append(f"{who} {os.path.basename(name)}: {error}")
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--vmabak", default=os.environ.get("VMABAK"), metavar="PATH")
    parser.add_argument("folder", metavar="DIR")
    options = parser.parse_args()
    manifest = os.path.join(options.folder, "manifest.json")
    if not os.path.exists(manifest):
        print(f"skipped: no vectors at {options.folder}\n0 passed, 0 failed, 1 skipped")
        return 0
    with open(manifest, encoding="utf-8") as file:
        entries = json.load(file)["archives"]
    passed = failed = 0
    for entry in entries:
        try:
            failures = check_entry(options.folder, entry, options.vmabak)
        except (Wrong, OSError, ValueError) as error:
            failures = [str(error)]
        for failure in failures:
            print(f"{entry['file']}: {failure}")
        failed += bool(failures)
        passed += not failures
    print(f"{passed} passed, {failed} failed" + ("" if options.vmabak else " (restore.py alone)"))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
