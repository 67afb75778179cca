#!/usr/bin/python3
"""Runs a command at a terminal of its own and answers its questions.

terminal.py SHOWN STEPS COMMAND...      SHOWN gets what the terminal shows; ends with the command's exit code, as a shell tells it

STEPS is a file of lines "TEXT<tab>SHELL COMMAND<tab>ANSWER": when TEXT has been shown, behind what was shown up to the step before, the
shell command is run and the answer is typed; \\r is Return, \\x03 is ^C."""
import os
import pty
import select
import subprocess
import sys
import time

shown, steps, command = sys.argv[1], sys.argv[2], sys.argv[3:]
steps = [line.rstrip("\n").split("\t") for line in open(steps)]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen, begin, until = b"", 0, time.monotonic() + 100
while time.monotonic() < until:
    if steps and seen.find(steps[0][0].encode(), begin) >= 0:
        text, hook, answer = steps.pop(0)
        begin = len(seen)
        subprocess.run(["sh", "-c", hook], check=True)
        os.write(terminal, answer.encode().decode("unicode_escape").encode())
    if not select.select([terminal], [], [], 1)[0]:
        continue
    try:
        more = os.read(terminal, 4096)
    except OSError:  # the command has closed it
        break
    if not more:
        break
    seen += more
else:
    os.kill(pid, 9)
    print("terminal.py: killed after:", seen.decode(errors="replace"), file=sys.stderr)
open(shown, "wb").write(seen)
_, status = os.waitpid(pid, 0)
if steps:
    sys.exit(f"terminal.py: never asked: {steps[0][0]}")
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
