"""Drives that change, each as a model of its clusters and as the file that vmabak reads: raw, and qcow2 by QEMU's tools."""
import os, subprocess, time, xxhash

CLUSTER = 65536
ZERO = (bytes(16), None)  # a cluster: its sum, and its data


def cluster(data):
    """The cluster with this data; a last one that is shorter counts as filled up with zeros."""
    data = bytes(data).ljust(CLUSTER, b"\0")
    return (xxhash.xxh3_128_digest(data), data) if any(data) else ZERO


class State:
    """What a drive holds at one instant."""

    def __init__(self, size, clusters):
        self.size, self.clusters = size, tuple(clusters)

    def is_file(self, path):
        """Whether the file has these bytes, and not one more."""
        if os.path.getsize(path) != self.size:
            return False
        with open(path, "rb") as file:
            for _, data in self.clusters:
                if file.read(CLUSTER).ljust(CLUSTER, b"\0") != (data or bytes(CLUSTER)):
                    return False
        return True

    def differ(self, other):
        """The clusters that are not the same in both; where sizes differ also all from the end of the smaller one on."""
        ends = range(max(len(self.clusters), len(other.clusters)))
        small = min(self.size, other.size)
        return [i for i in ends if i >= len(self.clusters) or i >= len(other.clusters) or self.clusters[i][0] != other.clusters[i][0]
                or (self.size != other.size and (i + 1) * CLUSTER > small)]


def tool(*words):
    """Runs one of QEMU's tools; what a killed reader had locked is free in a moment. True if it did its work."""
    for _ in range(600):
        done = subprocess.run(words, capture_output=True, check=False)
        if done.returncode == 0 or b'" lock' not in done.stderr:
            return done.returncode == 0
        time.sleep(0.1)
    raise AssertionError((words, done.stderr))


class Drive:
    kind = ""

    def __init__(self, name, path, size):
        self.name, self.path, self.size = name, path, size
        self.clusters = [ZERO] * -(-size // CLUSTER)
        self.cut_in = None  # the last step in which a part was cut off: a bitmap does not tell of it
        self.sources = {}   # archive -> what can tell of the changes since

    def word(self):
        return f"{self.name}={self.path}"

    def state(self):
        return State(self.size, self.clusters)

    def note_write(self, at, data):
        """The bytes are within the drive."""
        end = at + len(data)
        for i in range(at // CLUSTER, -(-end // CLUSTER)):
            begin = i * CLUSTER
            old = bytearray(self.clusters[i][1] or bytes(CLUSTER))
            a, b = max(at, begin), min(end, begin + CLUSTER)
            old[a - begin:b - begin] = data[a - at:b - at]
            self.clusters[i] = cluster(old)

    def note_resize(self, size):
        n = -(-size // CLUSTER)
        if size < self.size:
            del self.clusters[n:]
            if size % CLUSTER:
                self.clusters[-1] = cluster((self.clusters[-1][1] or b"")[:size % CLUSTER])
        else:
            self.clusters += [ZERO] * (n - len(self.clusters))
        self.size = size

    def remove(self):
        os.unlink(self.path)


class Raw(Drive):
    kind = "raw"

    def __init__(self, name, path, size):
        super().__init__(name, path, size)
        self.old_files = []
        with open(path, "wb") as file:
            file.truncate(size)

    def change(self, rng, step):
        if rng.random() < 0.3:
            size = self.size + rng.choice((-1, 1)) * rng.choice((1, 511, 65536, 300000, 9 << 20))
            self.note_resize(min(max(1, size), 40 << 20))
            os.truncate(self.path, self.size)
        with open(self.path, "rb+") as file:
            for _ in range(rng.randrange(6)):
                at = rng.randrange(self.size)
                n = min(rng.choice((1, 4096, 65536, 200000)), self.size - at)
                data = rng.randbytes(n) if rng.random() < 0.6 else bytes(n)
                file.seek(at)
                file.write(data)
                self.note_write(at, data)

    def move_on(self, file, path):
        """From now on a copy is written to, which shares its blocks with what that archive holds."""
        self.sources[file] = "reflink-of=" + self.path
        self.old_files.append(self.path)
        subprocess.run(["cp", "--reflink=always", self.path, path], check=True)
        self.path = path
        while len(self.old_files) > 3:
            old = self.old_files.pop(0)
            self.sources = {file: text for file, text in self.sources.items() if text != "reflink-of=" + old}
            os.unlink(old)

    def remove(self):
        for path in self.old_files:
            os.unlink(path)
        super().remove()


class Qcow2(Drive):
    kind = "qcow2"

    def __init__(self, name, path, size, options=""):
        super().__init__(name, path, size)
        self.snapshots = {}  # name -> its state
        assert tool("qemu-img", "create", "-q", "-f", "qcow2", *(["-o", options] if options else []), path, str(size)), path

    def change(self, rng, step):
        if rng.random() < 0.3:
            size = max(65536, self.size + rng.choice((-1, 1)) * rng.choice((512, 65536, 300032, 9 << 20)))
            self.resize(min(size, 40 << 20), step)
        commands = []
        for _ in range(rng.randrange(5)):
            how = rng.choice(("write", "write", "write", "zero", "discard"))
            at, n = rng.randrange(self.size), rng.choice((1, 4096, 65536, 200000))
            if how == "discard":  # QEMU does what it likes with parts of clusters
                at, n = at // CLUSTER * CLUSTER, CLUSTER * rng.randrange(1, 4)
            n = min(n, self.size - at)
            if how == "discard" and n < CLUSTER:
                continue
            n -= n % CLUSTER if how == "discard" else 0
            byte = rng.randrange(1, 256) if how == "write" else 0
            commands += ["-c", {"write": f"write -P {byte} {at} {n}", "zero": f"write -z {at} {n}", "discard": f"discard {at} {n}"}[how]]
            self.note_write(at, bytes([byte]) * n)
        if commands:
            assert tool("qemu-io", "-f", "qcow2", *commands, self.path), commands

    def resize(self, size, step):
        """A bitmap that is broken prevents it."""
        if size != self.size and tool("qemu-img", "resize", "-q", *(["--shrink"] if size < self.size else []), self.path, str(size)):
            if size < self.size:
                self.cut_in = step
            old = self.size
            self.note_resize(size)
            if size > old and old % CLUSTER:
                self.look_at(old // CLUSTER)

    def look_at(self, i):
        """What was cut off within a cluster may come back when the image grows again."""
        path = self.path + ".read"
        assert tool("qemu-img", "dd", "-f", "qcow2", "-O", "raw", f"if={self.path}", f"of={path}", "bs=64k", f"skip={i}", f"count={i + 1}")
        with open(path, "rb") as file:
            self.clusters[i] = cluster(file.read(min(CLUSTER, self.size - i * CLUSTER)))
        os.unlink(path)

    def snapshot(self, name):
        assert tool("qemu-img", "snapshot", "-c", name, self.path), name
        self.snapshots[name] = self.state()

    def forget(self, name):
        assert tool("qemu-img", "snapshot", "-d", name, self.path), name
        del self.snapshots[name]

    def go_back(self, name):
        """QEMU refuses that while there are bitmaps."""
        if not tool("qemu-img", "snapshot", "-a", name, self.path):
            return
        state = self.snapshots[name]
        self.size, self.clusters = state.size, list(state.clusters)

    def add_bitmap(self, file, name):
        """For what changes from now on, that archive being of now."""
        if tool("qemu-img", "bitmap", "--add", self.path, name):
            self.sources[file] = "bitmap=" + name
