"""Live restores that something is killed in: VMABAK KILLED KILLS SEED. KILLED is "qemu", at moments of chance from its start to behind the move
to the new disk, or "move", the process of the restore from "all is there" on. Each round restores a.vmab anew, of a.raw. A guest, by
the monitor of QEMU, writes, zeroes and reads, and holds each read against a model; a write that had no answer may be there or not, and so
may each block of it."""
import atexit
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

program, killed, kills, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)
truth = open("a.raw", "rb").read()
BLOCK = 512
LIMIT = 120


class Gone(Exception):
    pass


def until(what, condition):
    end = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"seed {seed}: {what} not within {LIMIT} s: {open('live.err').read()[-2000:]}")
        time.sleep(0.01)


class Monitor:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rw")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, arguments=None):
        try:
            print(json.dumps({"execute": command, "arguments": arguments or {}}), file=self.lines, flush=True)
            while True:
                line = self.lines.readline()
                if not line:
                    raise Gone
                answer = json.loads(line)
                if "return" in answer or "error" in answer:
                    return answer
        except (ConnectionError, BrokenPipeError) as error:
            raise Gone from error


class Machine:
    """Of QEMU, with its drive at the export or the new file."""

    def __init__(self, drive):
        for name in "vm.qmp", "vm.ask":
            if os.path.exists(name):
                os.unlink(name)
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-S", "-display", "none", "-nodefaults", "-machine", "accel=tcg", "-m", "64", "-device", "virtio-scsi-pci",
             "-qmp", "unix:vm.qmp,server=on,wait=off", "-qmp", "unix:vm.ask,server=on,wait=off", "-blockdev", drive,
             "-device", "scsi-hd,drive=root,id=disk,rerror=stop,werror=stop"],
            stdout=open("qemu.out", "a"), stderr=subprocess.STDOUT)
        atexit.register(self.process.kill)
        self.monitor = None
        end = time.monotonic() + LIMIT
        while self.monitor is None:
            if self.process.poll() is not None:
                raise Gone
            try:
                self.monitor = Monitor("vm.ask")
            except (OSError, Gone):
                if time.monotonic() > end:
                    sys.exit("QEMU does not begin")
                time.sleep(0.01)

    def io(self, line):
        """What qemu-io says goes to QEMU's standard output."""
        answer = self.monitor.ask("human-monitor-command", {"command-line": f'qemu-io -d disk "{line}"'})
        if answer.get("return", "no answer"):
            sys.exit(f"seed {seed}: {line}: {answer}")

    def end(self):
        self.process.kill()
        self.process.wait()


def export_node():
    return ("driver=nbd,node-name=root,export=root,reconnect-delay=3600,server.type=unix,server.path=live.sock")


class Guest:
    def __init__(self):
        self.model = bytearray(truth)
        self.open = None  # a write without an answer: where, and what it would make of it

    def write(self, machine):
        n = rng.choice([1, 8, 9, 128, 200]) * BLOCK
        at = rng.randrange((len(truth) - n) // BLOCK) * BLOCK
        pattern = rng.randrange(4) and rng.randrange(1, 256)
        self.open = (at, bytes([pattern]) * n)
        machine.io(f"write -P {pattern} {at} {n}" if pattern else f"write -z {at} {n}")
        self.model[at:at + n] = self.open[1]
        self.open = None
        machine.io(f"read -P {pattern} {at} {n}")
        if rng.random() < 0.1:
            machine.io("flush")

    def read(self, machine):
        """A block of the archive, or what was written there, is shown by a client of its own: patterns are all that qemu-io compares."""
        at = rng.randrange(len(truth) // BLOCK) * BLOCK
        if self.model[at:at + BLOCK] == self.model[at:at + 1] * BLOCK:
            machine.io(f"read -P {self.model[at]} {at} {BLOCK}")

    def settle(self, found):
        """After a kill: found is all that the drive has. Each block of a write without an answer has either."""
        if self.open is not None:
            at, data = self.open
            for i in range(0, len(data), BLOCK):
                if found[at + i:at + i + BLOCK] == data[i:i + BLOCK]:
                    self.model[at + i:at + i + BLOCK] = data[i:i + BLOCK]
            self.open = None
        if found != self.model:
            bad = [i for i in range(0, len(found), BLOCK) if found[i:i + BLOCK] != self.model[i:i + BLOCK]]
            sys.exit(f"seed {seed}: {len(bad)} blocks are wrong, the first at {bad[:1]}: {open('live.err').read()[-2000:]}")


def begin(rate):
    open("live.err", "w").close()
    live = subprocess.Popen([program, "restore", "a.vmab", "-d", "root=new.raw", "--live", "qemu:vm.qmp", "--nbd", "unix:live.sock", "--rate",
                             str(rate)], stderr=open("live.err", "a"))
    atexit.register(live.kill)

    def served():
        if live.poll() is not None:
            return True
        return any(word in open("live.err").read() for word in ("drive root: ", "all is there"))
    until("no export", served)
    return live


def said(text):
    return text in open("live.err").read()


def whole_drive():
    """What the drive has, by the export if it is there, by the new file else."""
    import nbd
    handle = nbd.NBD()
    try:
        handle.connect_uri("nbd+unix:///root?socket=live.sock")
        found = b"".join(bytes(handle.pread(min(1 << 20, len(truth) - at), at)) for at in range(0, len(truth), 1 << 20))
        handle.shutdown()
        return found
    except nbd.Error:
        return None


def moved(live):
    """The restore has ended well: the drive is the new file alone."""
    if live.wait(LIMIT) != 0:
        sys.exit(f"seed {seed}: the restore ended with {live.returncode}: {open('live.err').read()}")
    if os.path.exists("new.raw.live"):
        sys.exit("new.raw.live is left")
    return open("new.raw", "rb").read()


def has_ended(live):
    """Once it has said that a machine moved it ends, unless that machine was dead before it was done."""
    if said("the machine runs from"):
        until("neither an end nor a refusal", lambda: live.poll() is not None or said("stays where it is"))
    return live.poll() is not None


def restart_machine(live):
    """As the page says: at the export while the command runs, at the new file once it has ended."""
    while True:
        if has_ended(live):
            moved(live)
            return Machine("driver=file,node-name=root,filename=new.raw,discard=unmap")
        try:
            return Machine(export_node())
        except Gone:
            until("QEMU does not start while the restore runs", lambda: live.poll() is not None or whole_drive() is not None)


def check_nodes(machine):
    """It is at the new file, by one node and what that stands on, and nothing else is left."""
    nodes = machine.monitor.ask("query-named-block-nodes")["return"]
    names = [node["node-name"] for node in nodes if not node["node-name"].startswith("#")]
    if len(names) != 1 or not all(node["file"].endswith("new.raw") for node in nodes):
        sys.exit(f"seed {seed}: not just the new file is in QEMU: {nodes}")


def kill_qemu(left):
    live = begin(rng.choice([0, 1 << 20, 4 << 20]))
    machine, guest, n = Machine(export_node()), Guest(), 0
    for _ in range(min(left, rng.choice([1, 1, 2, 3]))):
        # A third of them around the move.
        if rng.random() < 0.35:
            while not said("all is there"):
                guest.write(machine)
        timer = threading.Timer(rng.random() * rng.choice([0.05, 0.3, 2]), machine.process.send_signal, [signal.SIGKILL])
        timer.start()
        try:
            while True:
                guest.write(machine)
                guest.read(machine)
        except Gone:
            pass
        timer.join()
        machine.process.wait()
        n += 1
        machine = restart_machine(live)  # by then nothing of the dead one is under way
        found = whole_drive()
        if found is None:
            found = moved(live)
        guest.settle(found)
    while live.poll() is None:
        guest.write(machine)
    moved(live)
    for _ in range(5):
        guest.write(machine)
    check_nodes(machine)
    machine.end()
    guest.settle(open("new.raw", "rb").read())
    return n


def kill_move(left):
    live = begin(0)
    machine, guest, n = Machine(export_node()), Guest(), 0
    writer_ends, failed = threading.Event(), []

    def write():
        try:
            while not writer_ends.is_set():
                guest.write(machine)
        except BaseException as error:  # what ends the thread ends the test
            failed.append(repr(error))
    moments = random.Random(rng.random())  # the other one is the writer's
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    while n < min(left, 4):
        until("not all is there", lambda: live.poll() is not None or said("all is there"))
        time.sleep(moments.random() * moments.choice([0.005, 0.02, 0.1]))
        live.send_signal(signal.SIGKILL)
        code = live.wait()
        if code == 0:
            break
        if code != -signal.SIGKILL:
            sys.exit(f"seed {seed}: the restore ended with {code}: {open('live.err').read()}")
        n += 1
        in_move[0] += os.path.exists("new.raw") and os.path.exists("new.raw.live")
        if os.path.exists("new.raw") and not os.path.exists("new.raw.live"):
            break  # killed after its last step
        live = begin(0)
    if live.returncode is None:
        moved(live)
    writer_ends.set()
    writer.join()
    if failed:
        sys.exit(f"seed {seed}: the guest: {failed}")
    check_nodes(machine)
    machine.end()
    guest.settle(open("new.raw", "rb").read())
    return n


in_move = [0]  # kills that came when the new file had its name, and the command was not over
done = rounds = 0
while done < kills:
    rounds += 1
    for name in "new.raw", "new.raw.live", "live.sock":
        if os.path.exists(name):
            os.unlink(name)
    done += {"qemu": kill_qemu, "move": kill_move}[killed](kills - done)
for line in open("qemu.out"):
    # A start that came when the restore had just ended is made again, at the new file.
    if ("ailed" in line or "rror" in line) and "Failed to connect to 'live.sock'" not in line:
        sys.exit(f"seed {seed}: QEMU said: {line}")
print(f"{done} kills in {rounds} restores" + (f", {in_move[0]} between the name and the end" if killed == "move" else ""))
