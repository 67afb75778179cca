#!/usr/bin/python3
"""A web server for tests that serves the files of a folder in ranges, and lies on demand.

webserver.py PORTFILE LOG FOLDER [FAULT...]      PORTFILE gets the port, LOG a line for each request

FAULT: WHAT[:REQUEST][+EVERY], of the requests with REQUEST in their line (METHOD PATH RANGE), the first, or each EVERYth:
500, 503, 403, 404, drop (no answer), stall (until a client hangs up), drip (some bytes, then 50 a second), cut (half an answer), short (half, without a length), wrong (bytes
changed), whole (a range is answered with all), other (another range, and told), shifted (another range, and not told), long (more
than was asked for), bare (no Content-Range), star (no size), huge (a size that is not the file's), etag (another one), multipart.
Of all requests: no-etag, no-dates, weak, ignore-match (no 412), replaced (of the file, from the 3rd request on, with another ETag),
user (a user and password are demanded), away=URL (all is redirected there), loop.
tls=FILE: by TLS, with the certificate and the key in that file.
GET /-/taken tells how many bytes of bodies were sent, /-/most how many requests were open at once.
"""
import base64
import os
import re
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
counts = {}
state = {"taken": 0, "open": 0, "most": 0, "requests": 0}
ALWAYS = ("no-etag", "no-dates", "weak", "ignore-match", "replaced", "user", "loop")


def fault(line):
    for one in faults:
        what, _, rest = one.partition(":")
        request, plus, every = rest.partition("+")
        if not rest:
            what, plus, every = what.partition("+")
        if what in ALWAYS or what.startswith(("away=", "tls=")) or request not in line:
            continue
        with lock:
            counts[one] = n = counts.get(one, 0) + 1
        if (n % int(every) == 0) if plus else n == 1:
            return what
    return None


def has(what):
    return what in faults


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *unused):
        pass

    def answer(self, status, body=b"", headers=(), length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if length != "none":
            self.send_header("Content-Length", str(len(body) if length is None else length))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True
        with lock:
            state["taken"] += 0 if self.path.startswith("/-/") else len(body)

    def hang_up(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self):
        if self.path.startswith("/-/"):
            return self.answer(200, str(state[self.path[3:]]).encode())
        with lock:
            state["open"] += 1
            state["requests"] += 1
            state["most"] = max(state["most"], state["open"])
        try:
            self.serve()
        finally:
            with lock:
                state["open"] -= 1

    def serve(self):
        span = self.headers.get("Range", "")
        line = "GET %s %s" % (self.path, span)
        what = fault(line)
        with open(log, "a") as out:
            out.write("%s%s%s\n" % (line, " " + what if what else "", " by " + self.headers["Authorization"]
                                    if "Authorization" in self.headers else ""))
        for one in faults:
            if one.startswith("away="):
                return self.answer(302, headers=[("Location", one[5:] + self.path)])
        if has("loop"):
            return self.answer(302, headers=[("Location", self.path)])
        if has("user") and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"tester:hush").decode():
            return self.answer(401, headers=[("WWW-Authenticate", "Basic realm=x")])
        if what and what.isdigit():
            return self.answer(int(what), b"told by the test")
        if what == "drop":
            return self.hang_up()
        if what == "stall":
            while self.connection.recv(4096):
                pass
            return None
        return self.give(span, what)

    def give(self, span, what):
        try:
            with open(os.path.join(folder, self.path.partition("?")[0].lstrip("/")), "rb") as file:
                data = file.read()
        except OSError:
            return self.answer(404, b"nothing")
        headers, tag = [], '"%d"' % len(data)
        if (has("replaced") and state["requests"] > 2) or what == "etag":
            tag = '"another"'
        if has("weak"):
            tag = "W/" + tag
        if not has("no-etag"):
            headers.append(("ETag", tag))
        if not has("no-dates"):
            headers.append(("Last-Modified", "Mon, 30 Nov 2026 10:00:00 GMT"))
        match = self.headers.get("If-Match")
        if match and not has("ignore-match") and (match != tag or tag.startswith("W/")):
            return self.answer(412)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", span)
        if not found or what == "whole":
            return self.answer(200, data, headers)
        begin, end = int(found[1]), min(int(found[2]), len(data) - 1)
        if begin >= len(data):
            return self.answer(416, b"", headers + [("Content-Range", "bytes */%d" % len(data))])
        return self.part(data, begin, end, headers, what)

    def part(self, data, begin, end, headers, what):
        told = "bytes %d-%d/%d" % (begin, end, len(data))
        body = data[begin:end + 1]
        if what == "other":
            return self.answer(206, data[1:2], headers + [("Content-Range", "bytes 1-1/%d" % len(data))])
        if what == "shifted":
            body = data[begin + 1:end + 1] + b"x"
        if what == "wrong":
            body = bytes([body[0] ^ 1]) + body[1:-1] + bytes([body[-1] ^ 1])
        if what == "long":
            body += bytes(100000)
        if what == "star":
            told = "bytes %d-%d/*" % (begin, end)
        if what == "huge":
            told = "bytes %d-%d/%d" % (begin, end, 1 << 50)
        if what == "multipart":
            return self.answer(206, body, headers + [("Content-Type", "multipart/byteranges; boundary=x")])
        if what != "bare":
            headers.append(("Content-Range", told))
        if what == "drip":
            return self.drip(body, headers)
        if what == "cut":
            self.answer(206, body[:len(body) // 2], headers, len(body))
            return self.hang_up()
        if what == "short":
            return self.answer(206, body[:len(body) // 2], headers, "none")
        return self.answer(206, body, headers)

    def drip(self, body, headers):
        self.answer(206, b"", headers, len(body))
        try:
            for at in range(len(body)):
                self.wfile.write(body[at:at + 1])
                time.sleep(0.02 if at > 300 else 0)
        except OSError:
            pass
        self.hang_up()


portfile, log, folder, faults = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
for one_fault in faults:
    if one_fault.startswith("tls="):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(one_fault[4:])
        server.socket = context.wrap_socket(server.socket, server_side=True)
with open(portfile + ".new", "w") as out_file:
    out_file.write(str(server.server_port))
os.rename(portfile + ".new", portfile)
server.serve_forever()
