"""The part of sweep.py for a server that must survive: calls of a running `vmabak serve` fail, the 1st, 2nd, ... n-th of
each kind, once and for ever, while it is asked for its status, a backup is taken, a guest comes, or it is told to stop,
and before, while it starts.

Whatever fails, a guest that is connected has its writes done, no command hangs, a backup that ends with 0 is right and
one that does not leaves nothing, and when nothing fails any more all works again. The server ends when it is told to.
The server's calls are made to fail by a struct in a file that interpose.c shares (FAULT_SHARED).

In the cases that begin with "client" it is the calls of `vmabak status`, `stop` and `backup` that fail: the command ends
with a code and a message that fit, or what it made is right, and the server and its guest never notice."""
import concurrent.futures
import itertools
import json
import mmap
import os
import random
import shutil
import struct
import subprocess
import tempfile
import threading
import time

# as in interpose.c
NAMES = ("read", "pread", "write", "pwrite", "writev", "fsync", "fallocate", "ftruncate", "mmap", "malloc", "rename",
         "close", "open", "lseek", "getrandom", "thread", "accept", "socket")
EIO, ENOMEM, EAGAIN, EMFILE, ENOSPC = 5, 12, 11, 24, 28
# None of these is the guest's affair: its drive is not touched.
CALLS = {"malloc": (ENOMEM,), "thread": (EAGAIN,), "accept": (EMFILE, ENOMEM), "socket": (EMFILE,), "open": (EMFILE,),
         "mmap": (ENOMEM,), "close": (EIO,), "getrandom": (EAGAIN,), "fallocate": (ENOSPC,), "ftruncate": (ENOSPC,)}
# And of a client, which also writes an archive.
CLIENT_CALLS = {**CALLS, "write": (EIO, ENOSPC), "writev": (EIO, ENOSPC), "fsync": (EIO,), "rename": (EIO,), "lseek": (EIO,)}
ARMED_S = 0.5       # what waits for a descriptor gets one after that
TIMEOUT_S = 30
CLUSTER = 65536
N_CLUSTERS = 40
TLS_OPTIONS = {None: [], "tls": ["--tls-certificates", "pki"], "psk": ["--tls-psk", "keys"]}


class Fault:
    """The struct, in a file."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(struct.pack("<iiiiQQQ", -1, 0, 0, 0, 1, 0, 0))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 40)

    def arm(self, call, at, ever, error):
        self.memory[4:40] = struct.pack("<iiiQQQ", error, ever, 0, at, 0, 0)
        self.memory[0:4] = struct.pack("<i", NAMES.index(call))

    def disarm(self):
        self.memory[0:4] = struct.pack("<i", -1)

    def n_failed(self):
        return struct.unpack("<Q", self.memory[32:40])[0]


class Wrong(Exception):
    pass


def make_certificate(folder):
    """One that is its own authority."""
    pki = os.path.join(folder, "pki")
    os.mkdir(pki)
    with open(os.path.join(pki, "template"), "w") as file:
        file.write("cn = localhost\ndns_name = localhost\ntls_www_server\nsigning_key\nca\n")
    key, certificate = (os.path.join(pki, f"server-{what}.pem") for what in ("key", "cert"))
    for command in (["--generate-privkey", "--key-type=ed25519", "--outfile", key],
                    ["--generate-self-signed", "--load-privkey", key, "--template", os.path.join(pki, "template"),
                     "--outfile", certificate]):
        subprocess.run(["certtool", *command], check=True, capture_output=True)
    shutil.copyfile(certificate, os.path.join(pki, "ca-cert.pem"))


class Guest:
    """Writes its drive from the beginning to the end, cluster by cluster, again and again: what is backed up must be
    that of one moment. In the short form with pauses, which cost no processor."""

    def __init__(self, nbd, folder, pause_s):
        self.pause_s = pause_s
        self.handle, self.round, self.n, self.stopped = nbd.NBD(), 1, 0, threading.Event()
        self.handle.set_export_name("a")
        self.handle.connect_unix(os.path.join(folder, "n"))
        self.pool = concurrent.futures.ThreadPoolExecutor(1)
        # What the guest of a server before this one had written last is of another round.
        for _ in range(N_CLUSTERS):
            self.write()

    def write(self):
        self.handle.pwrite(bytes([self.round & 255]) * CLUSTER, self.n * CLUSTER)
        if self.handle.pread(1, self.n * CLUSTER) != bytes([self.round & 255]):
            raise Wrong("the guest reads something else than it wrote")
        self.n = (self.n + 1) % N_CLUSTERS
        self.round += self.n == 0

    def many(self, until):
        while not until.wait(self.pause_s):
            self.write()
        self.handle.flush()

    def start(self):
        self.stopped.clear()
        return self.pool.submit(self.many, self.stopped)

    def finish(self, writing):
        self.stopped.set()
        try:
            writing.result(TIMEOUT_S)
        except concurrent.futures.TimeoutError:
            raise Wrong("a write of the guest hangs") from None
        except Exception as error:
            raise Wrong(f"the guest: {error}") from None


class Server:
    """A serve over two drives, with a guest at one of them."""

    def __init__(self, nbd, options, folder, tls):
        self.nbd, self.options, self.folder, self.out = nbd, options, folder, os.path.join(folder, "out")
        self.tls, self.process, self.guest = tls, None, None
        os.makedirs(self.out, exist_ok=True)
        if tls == "tls":
            make_certificate(folder)
        elif tls == "psk":
            with open(os.path.join(folder, "keys"), "w") as file:
                file.write(f"bob:{'11' * 32}\nalice:{'22' * 32}\n")
        with open(os.path.join(folder, "a.raw"), "wb") as file:
            file.write(bytes(CLUSTER * N_CLUSTERS))
        with open(os.path.join(folder, "b.raw"), "wb") as file:
            file.write(random.Random(1).randbytes(300000))
        self.fault = Fault(os.path.join(folder, "fault"))

    def start(self, environment):
        # Not among the descriptors of this process, which may be many.
        self.said = open(os.path.join(self.folder, "said"), "w+b")
        self.process = subprocess.Popen(
            [self.options.vmabak, "serve", "-v", "--control", "c", "--nbd", "unix:n", "--map", "a=a.map",
             *TLS_OPTIONS[self.tls], "a=a.raw", "b=b.raw"], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.said,
            env={**os.environ, "LC_ALL": "C", "LD_PRELOAD": self.options.fault, **environment})
        until = time.monotonic() + TIMEOUT_S
        while self.process.poll() is None and not os.path.exists(os.path.join(self.folder, "c")):
            if time.monotonic() > until:
                raise Wrong("the server does not come up")
            time.sleep(0.005)
        return self.process.poll() is None

    def errors(self):
        with open(os.path.join(self.folder, "said"), "rb") as file:
            return file.read().decode(errors="replace")

    def begin(self):
        if not self.start({"FAULT_SHARED": "fault"}):
            raise Wrong(f"the server ends: {self.errors()}")
        # The library of TLS takes memory for each record.
        self.guest = None if self.tls else Guest(self.nbd, self.folder, 0 if self.options.long else 0.002)

    def check(self):
        if self.process.poll() is not None:
            raise Wrong(f"the server has ended with {self.process.returncode}: {self.errors()[-300:]}")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.said.close()
            self.process, self.guest = None, None
        for name in ("c", "n", "a.map"):
            if os.path.lexists(os.path.join(self.folder, name)):
                os.unlink(os.path.join(self.folder, name))

    def command(self, *words, codes, fault=None):
        """Runs the program, whose own calls do not fail unless fault has variables for interpose.c, and returns its exit
        code."""
        process = subprocess.Popen([self.options.vmabak, *words], cwd=self.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(fault or {})})
        try:
            self.printed, said = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Wrong(f"{words[0]} hangs") from None
        if process.returncode not in codes:
            raise Wrong(f"{words[0]} ends with {process.returncode}, not of {codes}: {said.decode()}")
        lines = said.decode().splitlines()
        if process.returncode != 0 and (len(lines) != 1 or not lines[0].startswith("vmabak: ")):
            raise Wrong(f"{words[0]} says {lines}")
        return process.returncode

    # ---- what is done while calls fail ----

    def do_status(self, codes, fault=None):
        if self.command("status", "c", codes=codes, fault=fault) == 0 and b"\ndrive b: " not in self.printed:
            raise Wrong(f"status is not whole: {self.printed}")

    def do_refused(self, codes, fault=None):
        self.command("stop", "c", codes=[1, 7] if 1 in codes else [7], fault=fault)

    def await_no_backup(self):
        """The server notices that a client has gone."""
        until = time.monotonic() + TIMEOUT_S
        while True:
            self.command("status", "--json", "c", codes=[0])
            if json.loads(self.printed)["serve"]["backup"] is None:
                return
            if time.monotonic() > until:
                raise Wrong("a backup goes on without its client")

    def do_backup(self, codes, fault=None):
        writing = self.guest.start()
        try:
            code = self.command("backup", "-q", "serve:c", "--threads", "2", "--buffer", "16M", "-o", "out/x.vmab",
                                codes=codes, fault=fault)
        finally:
            self.guest.finish(writing)
        if code in (0, 3):
            self.judge_backup()
        elif os.listdir(self.out):
            raise Wrong(f"a backup that failed left {os.listdir(self.out)}")

    def judge_backup(self):
        self.command("restore", "-q", "out/x.vmab", "-C", "out/new", codes=[0])
        with open(os.path.join(self.out, "new", "a.raw"), "rb") as file:
            clusters = [file.read(CLUSTER) for _ in range(N_CLUSTERS)]
        with open(os.path.join(self.out, "new", "b.raw"), "rb") as file, \
                open(os.path.join(self.folder, "b.raw"), "rb") as was:
            if file.read() != was.read():
                raise Wrong("the backup of b is not what it was")
        steps = [one[0] != two[0] for one, two in itertools.pairwise(clusters)]
        if any(cluster != cluster[:1] * CLUSTER for cluster in clusters) or sum(steps) > 1:
            raise Wrong("the backup of a is not of one moment")
        shutil.rmtree(os.path.join(self.out, "new"))
        for name in os.listdir(self.out):  # its sums as well, if they could be written
            if name not in ("x.vmab", "x.vmab.sums"):
                raise Wrong(f"a backup left {name}")
            os.unlink(os.path.join(self.out, name))

    def do_connect(self, codes):
        """Another guest: it may be turned away."""
        handle = self.nbd.NBD()
        handle.set_export_name("b")
        if self.tls:
            handle.set_tls(2)
            handle.set_tls_verify_peer(False)
        if self.tls == "tls":
            handle.set_tls_certificates(os.path.join(self.folder, "pki"))
        elif self.tls == "psk":
            handle.set_tls_username("alice")
            handle.set_tls_psk_file(os.path.join(self.folder, "keys"))
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            def visit():
                handle.connect_unix(os.path.join(self.folder, "n"))
                handle.pwrite(handle.pread(4096, 0), 0)
                handle.shutdown()
            try:
                pool.submit(visit).result(TIMEOUT_S)
            except concurrent.futures.TimeoutError:
                self.kill()
                raise Wrong("a guest that connects hangs") from None
            except self.nbd.Error as error:
                if 1 not in codes:
                    raise Wrong(f"a guest cannot connect: {error}") from None

    do_tls = do_psk = do_connect

    def do_guest(self, _):
        if self.guest is None:
            return
        writing = self.guest.start()
        time.sleep(0.05)
        self.guest.finish(writing)

    def do_stop(self, codes):
        """The server ends, whatever fails, and then another one has what was written."""
        self.guest.handle.shutdown()
        if self.command("stop", "--force", "c", codes=codes) == 1 and self.process.poll() is None:
            self.fault.disarm()
            self.process.terminate()
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Wrong("the server does not end") from None
        if code not in (0, 1):
            raise Wrong(f"the server ended with {code}: {self.errors()}")
        if [name for name in ("c", "n") if os.path.lexists(os.path.join(self.folder, name))]:
            raise Wrong("the server left a socket")


class ServeRunner:
    """As Runner in sweep.py: one case, in a folder of its own."""

    def __init__(self, nbd, case, options, folder):
        self.name, self.options = case, options
        self.action = case.split("-")[1]
        self.server = Server(nbd, options, folder, self.action if self.action in ("tls", "psk") else None)
        self.n_runs = self.n_faults = self.n_harmless = 0
        self.failures = []

    def next(self, at):
        """A backup makes many calls, of a few kinds. The first 40 of a handshake by keys are tried one by one."""
        return at + 1 + (0 if self.options.long else at // {"backup": 2, "psk": 40}.get(self.action, 4))

    def one(self, call, at, ever, error):
        """One run with a fault. Returns whether there was one."""
        server, fault = self.server, self.server.fault
        wrong = None
        self.n_runs += 1
        try:
            if server.process is None:
                server.begin()
                server.do_guest(None)
            fault.arm(call, at, ever, error)
            timer = threading.Timer(ARMED_S, fault.disarm)
            timer.start()
            try:
                getattr(server, "do_" + self.action)([0, 1, 6] if error == ENOSPC else [0, 1])
            finally:
                timer.cancel()
                fault.disarm()
            if self.action == "stop":
                server.kill()
            else:
                self.all_works()
        except Wrong as what:
            wrong = str(what)
        injected = fault.n_failed() > 0
        if wrong is not None:
            server.kill()
            how = "ever" if ever else "once"
            self.failures.append(f"{self.name}: {call} {how} {at}, error {error}: {wrong}")
        self.n_faults += injected
        return injected

    def one_client(self, call, at, how, error):
        """The same with a fault in the client."""
        server, mark = self.server, os.path.join(self.server.folder, "mark")
        fault = {"LD_PRELOAD": self.options.fault, "LC_ALL": "C", "FAULT_CALL": call, "FAULT_AT": str(at),
                 "FAULT_HOW": how, "FAULT_ERRNO": str(error), "FAULT_MARK": mark}
        wrong = None
        if os.path.exists(mark):
            os.unlink(mark)
        self.n_runs += 1
        try:
            if server.process is None:
                server.begin()
            codes = [0, 1, 6] if error == ENOSPC else [0, 1]
            # all is in the archive, but for what later ones would be made by
            getattr(server, "do_" + self.action)(codes + [3] if self.action == "backup" else codes, fault)
            server.check()
            server.await_no_backup()
            server.do_guest(None)
        except Wrong as what:
            wrong = str(what)
        if wrong is not None:
            server.kill()
            shutil.rmtree(server.out)
            os.mkdir(server.out)
            self.failures.append(f"{self.name}: {call} {how} {at}, error {error}: {wrong}")
        injected = os.path.exists(mark) and os.path.getsize(mark) > 0
        self.n_faults += injected
        return injected

    def all_of_a_client(self):
        for call, errors in CLIENT_CALLS.items():
            for error, how in itertools.product(errors, ("once", "ever")):
                at = 1
                while self.one_client(call, at, how, error) and len(self.failures) < 20:
                    at = self.next(at)
        self.server.kill()

    def all_works(self):
        server = self.server
        server.check()
        server.do_guest(None)
        server.do_status([0])
        if self.action in ("backup", "connect", "tls", "psk"):
            getattr(server, "do_" + self.action)([0])
        server.check()

    def all_calls(self):
        for call, errors in CALLS.items():
            for error, ever in itertools.product(errors, (False, True)):
                at = 1
                while self.one(call, at, ever, error) and len(self.failures) < 20:
                    at = self.next(at)
        self.server.kill()

    def start_up(self):
        """The server's own beginning: it comes up, or ends and says why, and leaves no socket."""
        for call, errors in CALLS.items():
            for error, how in itertools.product(errors, ("once", "ever")):
                at = 1
                while self.one_start(call, at, how, error):
                    at = self.next(at)

    def one_start(self, call, at, how, error):
        server, mark = self.server, os.path.join(self.server.folder, "mark")
        if os.path.exists(mark):
            os.unlink(mark)
        self.n_runs += 1
        try:
            if server.start({"FAULT_CALL": call, "FAULT_AT": str(at), "FAULT_HOW": how, "FAULT_ERRNO": str(error),
                             "FAULT_MARK": mark}):
                server.process.terminate()
                if server.process.wait(TIMEOUT_S) not in (0, 1):
                    raise Wrong(f"it ended with {server.process.returncode}: {server.errors()}")
            elif server.process.returncode not in ((1, 6) if error == ENOSPC else (1,)) or not server.errors().startswith("vmabak: "):
                raise Wrong(f"it ends with {server.process.returncode}: {server.errors()}")
            if [name for name in ("c", "n") if os.path.lexists(os.path.join(server.folder, name))]:
                raise Wrong("it left a socket")
        except (Wrong, subprocess.TimeoutExpired) as what:
            self.failures.append(f"{self.name}: {call} {how} {at}, error {error}: {what}")
        injected = os.path.exists(mark) and os.path.getsize(mark) > 0
        self.n_faults += injected
        server.kill()
        return injected


CASES = ["serve-start", "serve-status", "serve-refused", "serve-guest", "serve-connect", "serve-tls", "serve-psk",
         "serve-backup", "serve-stop", "client-status", "client-refused", "client-backup"]


def run_case(case, options):
    import nbd
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="vmabak-", dir="/tmp") as folder:
        runner = ServeRunner(nbd, case, options, folder)
        try:
            if case.startswith("client-"):
                runner.all_of_a_client()
            elif runner.action == "start":
                runner.start_up()
            else:
                runner.all_calls()
        finally:
            runner.server.kill()
        return runner
