"""Stands between a program and QEMU's monitor, and kills the program once QEMU has answered its N-th command, or the
N-th in which WORD is:

    qmp_killer.py SOCKET MONITOR N|WORD:N [PID]

With PID that process is killed instead, which is to be the monitor's, and nobody is passed on any more.
Listens at SOCKET; only the first one who connects is killed, others are just passed on. Prints how many commands the
first one gave until it was killed; below zero: until it hung up."""
import os
import signal
import socket
import struct
import sys
import threading


def pass_on(source, target):
    for line in source:
        target.write(line)
        target.flush()


def serve(client, monitor, moment):
    """Each command waits for the answer to the one before."""
    peer = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
    word, _, number = moment.rpartition(":")
    ours, theirs = client.makefile("rwb"), monitor.makefile("rwb")
    answered = threading.Semaphore(0)

    def answers():
        first = True
        for line in theirs:
            is_answer = not first and b'"event"' not in line[:400] or b'"return"' in line[:12] or b'"error"' in line[:12]
            first = False
            try:
                if not dead.is_set():
                    ours.write(line)
                    ours.flush()
            except OSError:
                pass
            if is_answer:
                answered.release()

    dead = threading.Event()
    threading.Thread(target=answers, daemon=True).start()
    n = n_found = 0
    try:
        for line in ours:
            n += 1
            n_found += word.encode() in line
            last = n_found == int(number)
            if last:
                dead.set()
            theirs.write(line)
            theirs.flush()
            answered.acquire()
            if last:
                os.kill(int(sys.argv[4]) if len(sys.argv) > 4 else peer, signal.SIGKILL)
                break
        else:
            n = -n
    except OSError:
        n = -n
    monitor.shutdown(socket.SHUT_RDWR)
    client.close()
    return n


def connect(path):
    monitor = socket.socket(socket.AF_UNIX)
    monitor.connect(path)
    return monitor


def main():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1] + ".new")
    listener.listen(8)
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    first = True
    while True:
        client, _ = listener.accept()
        if first:
            n = serve(client, connect(sys.argv[2]), sys.argv[3])
            if len(sys.argv) > 4:
                listener.close()
            print(n, flush=True)
            if len(sys.argv) > 4:
                return
            first = False
            continue
        monitor = connect(sys.argv[2])
        ours, theirs = client.makefile("rwb"), monitor.makefile("rwb")
        back = threading.Thread(target=pass_on, args=(theirs, ours), daemon=True)
        back.start()
        try:
            pass_on(ours, theirs)
            monitor.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        client.close()


main()
