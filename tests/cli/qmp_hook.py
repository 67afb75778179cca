"""Stands between programs and QEMU's monitor: SOCKET MONITOR PATTERN COMMAND. Before a command that matches is passed on, the shell's
COMMAND is run."""
import os
import re
import socket
import subprocess
import sys
import threading

listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
pattern = re.compile(sys.argv[3].encode())


def pass_on(source, target, hooked):
    try:
        for line in source.makefile("rb"):
            if hooked and pattern.search(line):
                subprocess.run(sys.argv[4], shell=True, check=True)
            target.sendall(line)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


while True:
    client = listener.accept()[0]
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(sys.argv[2])
    threading.Thread(target=pass_on, args=(client, monitor, True), daemon=True).start()
    threading.Thread(target=pass_on, args=(monitor, client, False), daemon=True).start()
