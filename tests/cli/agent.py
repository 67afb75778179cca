# A guest agent for tests: answers on a unix socket as the real one does, and writes down what it
# was asked, a line each.
#
#   agent.py SOCKET LOG [garbage] [freeze-fails] [freeze-hangs] [freeze-silent] [silent]
#       [stops-peer] [stops-both]
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time

path, log, ways = sys.argv[1], open(sys.argv[2], "a"), sys.argv[3:]
listener = socket.socket(socket.AF_UNIX)
listener.bind(path + ".new")
listener.listen()
os.rename(path + ".new", path)


def answer(peer, request):
    name = request["execute"]
    print(name, file=log, flush=True)
    if name == "guest-sync-delimited":
        return b"\xff" + json.dumps({"return": request["arguments"]["id"]}).encode()
    if name == "guest-fsfreeze-freeze" and "freeze-hangs" in ways:
        time.sleep(4)
    if name == "guest-fsfreeze-freeze" and ("stops-peer" in ways or "stops-both" in ways):
        pid = struct.unpack("iii", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        os.kill(pid, signal.SIGSTOP)
        if "stops-both" in ways:
            subprocess.run(["pkill", "-STOP", "-P", str(pid)], check=True)
    if name == "guest-fsfreeze-freeze" and "freeze-fails" in ways:
        return json.dumps({"error": {"class": "GenericError", "desc": "no \x1b[31mfreeze"}}).encode()
    return json.dumps({"return": 2}).encode()


while True:
    peer = listener.accept()[0]
    try:
        if "garbage" in ways:
            peer.sendall(b'{"return": 17}\n{"error": {"desc": "of a client before"}}\n')
        for line in peer.makefile("rb"):
            if "silent" in ways:
                continue
            text = line.strip().lstrip(b"\xff").decode()
            said = answer(peer, json.loads(text))
            if "freeze-silent" not in ways or b"guest-fsfreeze-freeze" not in line:
                peer.sendall(said + b"\n")
    except OSError:
        pass
    peer.close()
