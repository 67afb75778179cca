#!/usr/bin/python3
"""usage: measure.py [--seconds MIN-MAX] [--processor SECONDS] [--memory MIB] COMMAND...

Runs the command and passes on its exit code, unless it took less or more time, more time of the
processor, which does not depend on what else runs, or more memory at its peak: then 99."""
import os
import sys
import time

limits, arguments = {}, sys.argv[1:]
while arguments[0].startswith("--"):
    limits[arguments[0]] = arguments[1]
    del arguments[:2]
begin = time.monotonic()
child = os.posix_spawnp(arguments[0], arguments, os.environ, setsigdef=[13])  # SIGPIPE, which Python ignores
_, status, used = os.wait4(child, 0)
code, seconds, kib = os.waitstatus_to_exitcode(status), time.monotonic() - begin, used.ru_maxrss
processor = used.ru_utime + used.ru_stime
least, most = map(float, limits.get("--seconds", "0-3600").split("-"))
if not least <= seconds <= most:
    print(f"took {seconds:.2f} s, not {least} to {most}", file=sys.stderr)
    code = 99
if processor > float(limits.get("--processor", "3600")):
    print(f"took {processor:.2f} s of the processor, more than {limits['--processor']}", file=sys.stderr)
    code = 99
if kib > 1024 * float(limits.get("--memory", "1000000")):
    print(f"took {kib} KiB of memory, more than {limits['--memory']} MiB", file=sys.stderr)
    code = 99
sys.exit(code if code >= 0 else 128 - code)
