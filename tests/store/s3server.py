#!/usr/bin/python3
"""A small object store for tests: what vmabak needs of S3, with signatures checked and faults on demand.

s3server.py PORTFILE LOG [FAULT...]      objects are in memory; PORTFILE gets the port

FAULT: WHAT@REQUEST[+EVERY], of the requests whose line (METHOD PATH?QUERY) contains REQUEST ($: its end), the first, or each EVERYth:
500, 503, 403, gone (404), drop (no answer), stall, cut (half an answer), wrong (bytes changed in the answer), whole (a range is
answered with all), late (the answer is lost, the request had its effect), latetag (the same, and the tag of the object is no checksum), error200 (an error with status 200), unlocked (object lock is
ignored), ignorant (a store that does not know what that, or a condition, is), unconditional (one that refuses
conditions), taken (late; and before the next request another host puts an object there), replaced (it has done so before the request), pause (two seconds in the middle of an answer), slow (0.2 s before an answer), drip (50 bytes a second from there on, or of a header), digest (the checksum of what came is called wrong), tag (a wrong tag is told).
small: lists of objects come in threes.
random:PERCENT:SEED: of all requests so many, each with one of those that a client can live through, or cannot.
GET /-/objects lists names and sizes, GET /-/uploads counts uploads, GET /-/parts/OBJECT the parts of those of an object, GET /-/taken the bytes that were answered, GET /-/most how many slow ones there were at the same time, GET /-/faults the random
faults that were had; GET /-/anew?SEED forgets all that is stored, and begins the chances with that seed.
"""
import base64
import hashlib
import hmac
import html
import json
import os
import random
import re
import socket
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, SECRET, REGION = "tester", "testing-secret", "us-east-1"
objects, uploads, marks = {}, {}, {}
lock = threading.Lock()
counts = {}
chance = random.Random(0)
RANDOM = ("500", "503", "drop", "cut", "late", "error200", "digest") * 60 + ("wrong", "whole", "403", "tag", "pause") * 10 + ("stall",)
state = {"taken": 0, "id": 0, "faults": 0, "slow": 0, "most": 0}


SMALL = "small" in sys.argv  # lists come in threes


def quote(name):
    return urllib.parse.quote(name, safe="/-._~")


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(method, path, query, headers, signed, body_hash, stamp, scope):
    lines = [method, path, query] + [h + ":" + " ".join(headers[h].split()) for h in signed.split(";")]
    canonical = "\n".join(lines + ["", signed, body_hash])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in scope.split("/"):
        key = sign(key, part)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def put_of_another(path):
    objects[path] = (b"another\n", '"%032x"' % 8, None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    what = None

    def log_message(self, *unused):
        pass

    def answer(self, status, body=b"", headers=(), cut=False, wrong=False):
        if wrong and body:
            body = bytes([body[0] ^ 1]) + body[1:]
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name == "Content-Length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with lock:
            state["taken"] += len(body)
        if self.command == "HEAD":
            return
        if cut:
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.what == "pause":
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            time.sleep(2)
            body = body[len(body) // 2:]
        self.wfile.write(body)

    def drip(self, body, headers):
        if body:
            self.send_response(206 if any(name == "Content-Range" for name, _ in headers) else 200)
            for name, value in [*headers, ("Content-Length", str(len(body)))]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:len(body) // 2])
        else:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
        self.close_connection = True
        try:
            for at in range(len(body) // 2, max(len(body), 1 << 30)):
                self.wfile.write(body[at:at + 1] or b"x")
                time.sleep(0.02)
        except OSError:
            pass

    def fail(self, status, code):
        self.answer(status, ("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>told by the test</Message></Error>"
                             % code).encode(), [("Content-Type", "application/xml")])

    def fault(self, line):
        for fault in faults:
            if fault == "small":
                continue
            if fault.startswith("random:"):
                with lock:
                    if chance.randrange(100) < int(fault.split(":")[1]):
                        state["faults"] += 1
                        return chance.choice(RANDOM)
                continue
            what, rest = fault.split("@", 1)
            request, _, every = rest.partition("+")
            if request not in line + "$":
                continue
            with lock:
                counts[fault] = n = counts.get(fault, 0) + 1
            if (n % int(every) == 0) if every else n == 1:
                return what
        return None

    def check(self, path, query, body):
        auth = self.headers.get("Authorization", "")
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\w+)/(\d+)/([\w-]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?"
                             r"Signature=(\w+)", auth)
        if not found or found[1] != USER or found[3] != REGION:
            return "AccessDenied"
        body_hash = self.headers.get("x-amz-content-sha256", "")
        if body_hash != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch"
        headers = {name.lower(): value for name, value in self.headers.items()}
        scope = "%s/%s/s3/aws4_request" % (found[2], REGION)
        right = signature(self.command, path, query, headers, found[4], body_hash, headers["x-amz-date"], scope)
        return None if right == found[5] else "SignatureDoesNotMatch"

    def go(self):
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.what = None
        if path.startswith("/-/"):
            return self.tell(path, query)
        line = self.command + " " + self.path
        what = self.fault(line)
        with open(log, "a") as out:
            out.write("%s%s\n" % (line, " " + what if what else ""))
        if what in ("500", "503", "403"):
            return self.fail(int(what), {"500": "InternalError", "503": "SlowDown", "403": "AccessDenied"}[what])
        if what == "gone":
            return self.fail(404, "NoSuchKey")
        if what == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if what == "stall":
            time.sleep(3600)
        if what == "slow":
            with lock:
                state["slow"] += 1
                state["most"] = max(state["most"], state["slow"])
            time.sleep(0.2)
            with lock:
                state["slow"] -= 1
        if what == "digest" and self.command == "PUT":
            return self.fail(400, random.choice(("BadDigest", "XAmzContentSHA256Mismatch")))
        if what == "error200" and self.command != "HEAD":  # has no body to tell it in
            return self.fail(200, "InternalError")
        code = self.check(path, query, body)
        if code:
            return self.fail(400 if code.startswith("X") else 403, code)
        self.what = what
        with lock:
            if what == "replaced":
                put_of_another(path)
            told = self.do(path, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), body)
            if what == "taken":
                put_of_another(path)
        if what in ("late", "latetag", "taken"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        if isinstance(told[0], str):
            if what == "drip":
                return self.drip(b"", [])
            return self.fail(told[1], told[0])
        status, data, headers = told
        if what == "drip":
            return self.drip(data, headers)
        if what == "tag":
            headers = [(name, '"%032x"' % 7 if name == "ETag" else value) for name, value in headers]
        return self.answer(status, data, headers, what == "cut", what == "wrong")

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = go

    def tell(self, path, query):
        mine = []
        with lock:
            if path.startswith("/-/protect/"):  # an object without content, whoever asks
                objects[path[len("/-/protect"):]] = (b"", '"0"', None)
                path = "/-/anew/not"
            if path == "/-/anew":
                marks.clear()
                objects.clear()
                uploads.clear()
                chance.seed(query)
            if path.startswith("/-/parts/"):
                mine, path = [len(parts) for of, parts, _ in uploads.values() if of == path[len("/-/parts"):]], "/-/parts"
            told = {"/-/parts": sum(mine), "/-/objects": {name: len(data) for name, (data, _, _) in objects.items()},
                    "/-/kept": {name: kept for name, (_, _, kept) in objects.items()},
                    "/-/uploads": len(uploads), "/-/taken": state["taken"], "/-/faults": state["faults"], "/-/most": state["most"], "/-/anew": 0, "/-/anew/not": 0}[path]
        self.answer(200, json.dumps(told).encode())

    def do(self, path, query, body):
        if self.command == "POST" and "uploads" in query:
            state["id"] += 1
            name = "id/%d+~=" % state["id"]
            until = self.headers.get("x-amz-object-lock-retain-until-date")
            marks[name] = self.headers.get("x-amz-meta-vmabak-upload")
            uploads[name] = (path, {}, until if self.what != "unlocked" else None)
            return 200, b"<R><UploadId>%s</UploadId></R>" % name.encode(), []
        if "uploadId" in query:
            return self.upload(path, query, body)
        if self.command == "GET" and "list-type" in query:
            return self.list(path, query)
        if self.command == "PUT" and not query:
            if self.headers.get("If-None-Match") and self.what == "unconditional":
                return "NotImplemented", 501
            if path in objects and self.headers.get("If-None-Match") and self.what != "ignorant":
                return "PreconditionFailed", 412
            marks.pop(path, None)
            objects[path] = (body, '"%s"' % hashlib.md5(body).hexdigest(), None)
            return 200, b"", []
        if self.command == "DELETE" and not query:
            if path in objects and self.what != "ignorant" and self.headers.get("If-Match", objects[path][1]) != objects[path][1]:
                return "PreconditionFailed", 412
            objects.pop(path, None)
            return 204, b"", []
        if path not in objects:
            return "NoSuchKey", 404
        if self.what == "ignorant":
            if self.command == "PUT":
                objects[path] = (body, '"1"', None)
            return 200, objects[path][0], []
        if self.command == "PUT" and "retention" in query:
            until = re.search(r"<RetainUntilDate>([^<]+)<", body.decode())
            data, tag, kept = objects[path]
            objects[path] = (data, tag, until[1] if self.what != "unlocked" else kept)
            return 200, b"", []
        data, tag, kept = objects[path]
        headers = [("ETag", tag)] + ([("x-amz-meta-vmabak-upload", marks[path])] if path in marks else [])
        if "retention" in query and not kept:
            return "ObjectLockConfigurationNotFoundError", 404
        if "retention" in query:
            return 200, b"<Retention><RetainUntilDate>%s</RetainUntilDate></Retention>" % kept.encode(), []
        if self.command == "HEAD":
            kept = [("x-amz-object-lock-retain-until-date", kept)] if kept else []
            return 200, b"", headers + kept + [("Content-Length", str(len(data)))]
        if self.headers.get("If-Match", tag) != tag:
            return "PreconditionFailed", 412
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not found or self.what == "whole":
            return 200, data, headers
        begin, end = int(found[1]), min(int(found[2]), len(data) - 1)
        return 206, data[begin:end + 1], headers + [("Content-Range", "bytes %d-%d/%d" % (begin, end, len(data)))]

    def list(self, path, query):
        begin = urllib.parse.unquote(path) + query["prefix"]
        found = sorted(urllib.parse.unquote(name) for name in objects if urllib.parse.unquote(name).startswith(begin))
        # What lies deeper is told as its folder, and counts.
        found = sorted({begin + re.match("[^/]*/?", name[len(begin):])[0] for name in found})
        found = [name for name in found if name > query.get("continuation-token", "")]
        some = found[:int(query["max-keys"] if not SMALL else 3)]
        text = "".join("<Contents><Key>%s</Key><LastModified>2026-11-30T21:03:03.609Z</LastModified><ETag>%s</ETag><Size>%d</Size>"
                       "</Contents>" % (html.escape(name[len(urllib.parse.unquote(path)):]), html.escape(objects[quote(name)][1]),
                                        len(objects[quote(name)][0])) if not name.endswith("/") else
                       "<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>" % html.escape(name[len(urllib.parse.unquote(path)):])
                       for name in some)
        more = "<IsTruncated>%s</IsTruncated>" % ("true" if len(some) < len(found) else "false")
        if len(some) < len(found):
            more += "<NextContinuationToken>%s</NextContinuationToken>" % html.escape(some[-1])
        return 200, ("<ListBucketResult>%s%s</ListBucketResult>" % (text, more)).encode(), []

    def upload(self, path, query, body):
        name = query["uploadId"]
        if name not in uploads or uploads[name][0] != path:
            return "NoSuchUpload", 404
        parts = uploads[name][1]
        if self.command == "PUT":
            md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
            if uploads[name][2] and self.headers.get("Content-MD5") != md5:
                return "InvalidRequest", 400
            parts[int(query["partNumber"])] = body
            return 200, b"", [("ETag", '"%s"' % hashlib.md5(body).hexdigest())]
        if self.command == "GET":
            begin, most = int(query.get("part-number-marker", 0)), 1 if SMALL else 1000
            rest = sorted(n for n in parts if n > begin)
            some = rest[:most]
            text = "".join("<Part><PartNumber>%d</PartNumber><ETag>&quot;%s&quot;</ETag><Size>%d</Size></Part>" %
                           (n, hashlib.md5(parts[n]).hexdigest(), len(parts[n])) for n in some)
            more = "<NextPartNumberMarker>%d</NextPartNumberMarker>" % some[-1] if len(some) < len(rest) else ""
            return 200, ("<ListPartsResult>%s<IsTruncated>%s</IsTruncated>%s</ListPartsResult>" %
                         (text, "true" if more else "false", more)).encode(), []
        if self.command == "DELETE":
            del uploads[name]
            return 204, b"", []
        if self.headers.get("If-None-Match") and path in objects and self.what != "ignorant":
            return "PreconditionFailed", 412
        named = re.findall(r"<PartNumber>(\d+)</PartNumber><ETag>&quot;(\w+)&quot;</ETag>", body.decode())
        if [int(n) for n, _ in named] != sorted(parts) or \
                any(hashlib.md5(parts[int(n)]).hexdigest() != tag for n, tag in named):
            return "InvalidPart", 400
        sizes = [len(parts[n]) for n in sorted(parts)]
        if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
            return "InvalidPart", 400
        sums = b"".join(hashlib.md5(parts[n]).digest() for n in sorted(parts))
        tag = '"%s-%d"' % (hashlib.md5(sums).hexdigest(), len(parts))
        if self.what == "latetag":
            tag = '"%032x"' % state["id"]
        objects[path] = (b"".join(parts[n] for n in sorted(parts)), tag, uploads[name][2])
        marks[path] = marks.pop(name)
        del uploads[name]
        return 200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>", []


for argument in sys.argv[3:]:
    if argument.startswith("random:"):
        chance.seed(argument)
portfile, log, faults = sys.argv[1], sys.argv[2], sys.argv[3:]
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(portfile + ".new", "w") as out:
    out.write(str(server.server_port))
os.rename(portfile + ".new", portfile)
server.serve_forever()
