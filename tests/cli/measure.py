#!/usr/bin/python3
"""usage: measure.py [--seconds MIN-MAX] [--memory MIB] COMMAND...

Runs the command and passes on its exit code, unless it took less or more time, or more memory at
its peak: then 99."""
import resource
import subprocess
import sys
import time

limits, arguments = {}, sys.argv[1:]
while arguments[0].startswith("--"):
    limits[arguments[0]] = arguments[1]
    del arguments[:2]
begin = time.monotonic()
code = subprocess.run(arguments, check=False).returncode
seconds = time.monotonic() - begin
kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
least, most = map(float, limits.get("--seconds", "0-3600").split("-"))
if not least <= seconds <= most:
    print(f"took {seconds:.2f} s, not {least} to {most}", file=sys.stderr)
    code = 99
if kib > 1024 * float(limits.get("--memory", "1000000")):
    print(f"took {kib} KiB of memory, more than {limits['--memory']} MiB", file=sys.stderr)
    code = 99
sys.exit(code if code >= 0 else 128 - code)
