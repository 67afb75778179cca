#!/usr/bin/python3
"""usage: fake_serve.py SOCKET SIZE MESSAGE...

What looks like vmabak serve, with a drive "root" of SIZE bytes: `backup serve:SOCKET` gets the messages, in JSON, over its
one channel (--threads 1), and zeros for data."""
import array
import fcntl
import json
import os
import socket
import sys
import threading

path, size, messages = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
memory = os.memfd_create("fake", os.MFD_ALLOW_SEALING)
os.ftruncate(memory, 64 << 20)
SEALS = 1 | 2 | 4  # no further seals, no shrinking, no growing
fcntl.fcntl(memory, fcntl.F_ADD_SEALS if hasattr(fcntl, "F_ADD_SEALS") else 1033, SEALS)
plan = {"return": {"drives": [{"name": "root", "size_bytes": size}], "n_chunks": 16}}


def send(connection, message, descriptors=()):
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([json.dumps(message).encode()], control)


def feed(channel):
    for message in messages:
        if not channel.recv(1 << 20):
            break
        channel.send(message.encode())
    if channel.recv(1 << 20):
        channel.send(b'{"return": {}}')
        channel.recv(1 << 20)


server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(path)
server.listen(1)
connection, _ = server.accept()
connection.recv(1 << 20)
send(connection, plan, [memory])
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
connection.recv(1 << 20)
send(connection, {"return": {}}, [theirs.fileno()])
theirs.close()
threading.Thread(target=feed, args=[ours], daemon=True).start()
while connection.recv(1 << 20):
    send(connection, {"return": {}})
