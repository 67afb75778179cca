"""A folder of archives as it must be, and whether it is so: what the steps of chain_model.py change, and what is checked after each."""
import filecmp, json, os, random, re, shutil, signal, struct, subprocess, sys, time, xxhash

from model_drives import CLUSTER

EPOCH = 1767225600  # when the first backup is made


def read_sums(path, states, uuid):
    """The sums in a sums file (spec/sums.md), of each drive; the drives are known."""
    with open(path, "rb") as file:
        data = file.read()
    pages = [-(-len(state.clusters) // 255) for state in states]
    maps = [-(-n // 32640) for n in pages]
    at = len(data) - 4096 * (sum(pages) + sum(maps))
    assert at > 0 and at % 4096 == 0, f"{path}: {len(data)} bytes"
    seed = struct.unpack("<Q", bytes.fromhex(uuid.replace("-", ""))[:8])[0]
    result = []
    for state, n_pages, n_maps in zip(states, pages, maps):
        sums = []
        for i in range(n_pages + n_maps):
            page = data[at:at + 4096]
            if i >= n_pages or any(page):
                check = xxhash.xxh3_128_digest(page[:4080], seed=seed ^ at)
                assert page[4080:] == check, f"{path}: the check of the page at {at}"
            if i < n_pages:
                sums += [page[j:j + 16] for j in range(0, 4080, 16)]
            at += 4096
        result.append(sums[:len(state.clusters)])
        assert not any(any(one) for one in sums[len(state.clusters):]), f"{path}: sums past the end"
    return result


class Archive:
    def __init__(self, file, states, configs, step):
        self.file, self.states, self.configs, self.step = file, states, configs, step
        self.uuid = self.parent = self.created = None
        self.tokens = {}
        self.protected = False
        self.was_killed = False  # what merged it: then the sums beside it still name its old parent, and are not used

    @property
    def machine(self):
        return self.file[0] if self.file[0] in "mn" else None


class World:
    """d/ is the folder; everything else beside it is the test's."""

    def __init__(self, vmabak, seed):
        self.vmabak, self.seed = vmabak, seed
        self.drives = {}
        self.archives = {}      # name in d -> Archive
        self.unfinished = []    # beginnings of the names of files that killed runs may have left
        self.now = EPOCH
        self.said = []          # the last commands
        self.counts = {}
        self.checked = {}       # name -> the files that were looked at
        self.seconds = {}       # how long a command took, to kill it in the midst
        self.serial = self.step = 0
        for folder in ("d", "tmp"):
            os.mkdir(folder)
        with open("tmp/a", "w", encoding="utf-8") as file:
            file.write("blocks that two files could share")
        self.can_reflink = subprocess.run(["cp", "--reflink=always", "tmp/a", "tmp/b"], capture_output=True, check=False).returncode == 0

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    # ---- the program ----

    def start(self, *words, **options):
        environment = dict(os.environ, SOURCE_DATE_EPOCH=str(self.now), TZ="UTC", TMPDIR=os.getcwd() + "/tmp")
        self.said = self.said[-30:] + [" ".join(words)]
        return subprocess.Popen([self.vmabak, *words], env=environment, **options)

    def run(self, *words, codes=(0,), stdin=None):
        begin = time.monotonic()
        with self.start(*words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            out, errors = process.communicate()
        self.seconds[words[0]] = (self.seconds.get(words[0], 0) + time.monotonic() - begin) / 2
        self.code, self.errors = process.returncode, errors.decode()
        assert self.code in codes, f"{' '.join(words)}: exit code {self.code}: {self.errors}"
        return out

    def run_json(self, *words, **options):
        return json.loads(self.run(*words, "--json", **options))

    def run_killed(self, rng, *words):
        """True if it was killed; otherwise it was done before."""
        self.said.append("the next one is killed:")
        with open("tmp/killed", "wb") as errors:
            process = self.start(*words, stdout=subprocess.DEVNULL, stderr=errors)
            time.sleep(rng.uniform(0, 1.1 * self.seconds.get(words[0], 0.05)))
            process.send_signal(signal.SIGKILL)
            code = process.wait()
        with open("tmp/killed", encoding="utf-8") as errors:
            assert code in (0, 3, -signal.SIGKILL), f"{' '.join(words)}: exit code {code}: {errors.read()}"
        self.count("killed" if code < 0 else "too late to kill")
        return code < 0

    def run_together(self, *commands):
        """At the same time; all must succeed, or warn."""
        processes = [self.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for words in commands]
        for words, process in zip(commands, processes):
            errors = process.communicate()[1].decode()
            assert process.returncode == 0 or process.returncode == 3 and "the clock is wrong" in errors, \
                f"{' '.join(words)}, beside others: exit code {process.returncode}: {errors}"

    # ---- what an archive stands on ----

    def parents_of(self, archive):
        return [one for one in self.archives.values() if archive.parent is not None and one.uuid == archive.parent]

    def ancestors(self, archives):
        found, todo = set(), list(archives)
        while todo:
            for one in self.parents_of(todo.pop()):
                if one.file not in found:
                    found.add(one.file)
                    todo.append(one)
        return found

    def chain(self, archive):
        """It and what it stands on, newest first; of two with one uuid any that is full or has its parent."""
        found = [archive]
        while found[-1].parent is not None:
            found.append(sorted(self.parents_of(found[-1]), key=lambda one: one.parent is not None)[0])
        return found

    def newest(self):
        return max(self.archives.values(), key=lambda one: (one.step, one.file))

    def pick(self, rng):
        """Mostly of the newest."""
        names = sorted(self.archives, key=lambda name: (self.archives[name].step, name))
        return self.archives[names[-1 - min(int(rng.expovariate(0.6)), len(names) - 1)]]

    def learn(self, archive):
        """Adds one that is there now, with what its head says."""
        said = self.run_json("list", "d/" + archive.file)
        archive.uuid, archive.parent, archive.created = said["uuid"], said["parent_uuid"], said["created_ns"] // 10**9
        archive.tokens = {drive["name"]: drive["token"] for drive in said["drives"]}
        assert [(drive["name"], drive["size_bytes"]) for drive in said["drives"]] == \
            [(name, state.size) for name, state in archive.states.items()], (archive.file, said["drives"])
        assert [one["name"] for one in said["configs"]] == list(archive.configs), (archive.file, said["configs"])
        for drive in said["drives"]:
            if drive["proof"] and archive.file not in self.archives:
                self.count(f"lists that are {drive['proof']['list']}")
        self.archives[archive.file] = archive
        return archive

    def unlink(self, archive):
        for path in (f"d/{archive.file}.sums", f"d/{archive.file}"):
            if os.path.exists(path):
                os.unlink(path)
        self.drop(archive.file)

    @staticmethod
    def sweep_parts(file):
        """The sums of an archive that was done when its run was killed: nobody makes them again."""
        for name in os.listdir("d"):
            if name.startswith(f".{file}.") and name.endswith(".part"):
                os.unlink("d/" + name)

    @staticmethod
    def empty(folder):
        for name in os.listdir(folder):
            os.unlink(f"{folder}/{name}")

    def drop(self, file):
        """Forgets one that is gone."""
        del self.archives[file]
        for drive in self.drives.values():
            drive.sources.pop(file, None)

    # ---- what must be so after each step ----

    def check(self, rng):
        self.check_files()
        if not self.archives:
            return
        for archive in self.archives.values():
            self.check_sums(archive)
        chosen = {self.newest().file, rng.choice(sorted(self.archives))}
        for name in sorted(chosen):
            self.check_restore(rng, self.archives[name])
        self.run("verify", "-q", "--chain", "d/" + rng.choice(sorted(chosen)))
        self.check_list()

    def check_files(self):
        wanted = set(self.archives) | {one.file + ".protected" for one in self.archives.values() if one.protected}
        for name in sorted(set(os.listdir("d")) - wanted):
            if name.endswith(".sums") and name[:-5] in self.archives:
                continue
            left = [begin for begin in self.unfinished
                    if re.fullmatch(r"\." + begin + r".*\.[A-Za-z0-9]{6}\.part|\." + begin.rstrip("-") + r"\.lock", name)]
            assert left, f"d holds {name}"
        missing = wanted - set(os.listdir("d"))
        assert not missing, f"missing: {missing}"

    def is_right(self, path, archive):
        for (name, state), found in zip(archive.states.items(), read_sums(path, list(archive.states.values()), archive.uuid)):
            wrong = [i for i, (one, wanted) in enumerate(zip(found, state.clusters)) if one != wanted[0]]
            assert not wrong, f"{path}: {archive.file}, drive {name}: the sums of clusters {wrong[:9]}"

    def check_sums(self, archive):
        """Not again while all that it stands on, and its sums, are the same files."""
        files = sorted(self.ancestors([archive])) + [archive.file, archive.file + ".sums"]
        there = [os.stat("d/" + name) for name in files if os.path.exists("d/" + name)]
        state = [(name, one.st_ino, one.st_mtime_ns, one.st_size) for name, one in zip(files, there)]
        if self.checked.get(archive.file) == state:
            return
        self.checked[archive.file] = state
        self.run("sums", "-q", "--force", "--no-sync", "d/" + archive.file, "-o", "tmp/sums")
        self.is_right("tmp/sums", archive)
        if os.path.exists(f"d/{archive.file}.sums"):
            self.is_right(f"d/{archive.file}.sums", archive)
            assert archive.was_killed or filecmp.cmp("tmp/sums", f"d/{archive.file}.sums", shallow=False), \
                f"the sums beside {archive.file} are not those of the archive that is there"

    def compare(self, archive, folder, what):
        assert set(os.listdir(folder)) == {name + ".raw" for name in archive.states} | set(archive.configs), (what, os.listdir(folder))
        for name, state in archive.states.items():
            assert state.is_file(f"{folder}/{name}.raw"), f"{what}: {archive.file}: drive {name} is not what it was"
        for name, text in archive.configs.items():
            with open(f"{folder}/{name}", encoding="utf-8") as file:
                assert file.read() == text, f"{what}: {archive.file}: config {name}"

    def check_restore(self, rng, archive):
        how = rng.choice((["--force"], ["--rollback"], []))
        os.makedirs("back", exist_ok=True)
        for name in os.listdir("back"):
            if not how or name not in {one + ".raw" for one in archive.states}:
                os.unlink("back/" + name)
        if how == ["--rollback"] and not all(os.path.exists(f"back/{name}.raw") for name in archive.states):
            how = ["--force"]
        self.run("restore", "-q", *how, "d/" + archive.file, "-C", "back")
        self.compare(archive, "back", "restore " + " ".join(how))

    def check_list(self):
        said = self.run_json("list", "d")
        found = {one["archive"]: (machine["machine"], one) for machine in said["machines"] for one in machine["archives"]}
        assert set(found) == set(self.archives), (sorted(found), sorted(self.archives))
        for archive in self.archives.values():
            machine, one = found[archive.file]
            wanted = {"machine": archive.machine, "state": "whole", "uuid": archive.uuid, "parent": archive.parent,
                      "bytes": sum(state.size for state in archive.states.values()), "file": os.path.getsize("d/" + archive.file),
                      "sums": os.path.exists(f"d/{archive.file}.sums"), "protected": archive.protected,
                      "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(archive.created))}
            told = {"machine": machine, "state": one["state"], "uuid": one["uuid"], "parent": one["parent_uuid"],
                    "bytes": one["drives_bytes"], "file": one["archive_bytes"], "sums": one["sums"],
                    "protected": one["protected"], "created": one["created"]}
            if archive.parent is None:
                told["parent"] = told["parent"] if told["parent"] != "00000000-0000-0000-0000-000000000000" else None
            assert told == wanted, (archive.file, told, wanted)

    # ---- other things that have to agree ----

    def check_reader(self, archive):
        """The reader of the spec."""
        shutil.rmtree("read", ignore_errors=True)
        done = subprocess.run([sys.executable, os.environ["SRC"] + "/spec/restore.py",
                               *("d/" + one.file for one in self.chain(archive)), "read"], capture_output=True, check=False)
        assert done.returncode == 0, f"spec/restore.py, {archive.file}: {done.stderr.decode()}"
        self.compare(archive, "read", "spec/restore.py")

    def check_diff(self, a, b):
        said = self.run_json("diff", "d/" + a.file, "d/" + b.file, codes=(0, 4))
        found = {drive["name"]: drive["ranges"] for drive in said["drives"]}
        same = set(a.states) == set(b.states)
        for name in set(a.states) & set(b.states):
            wanted = a.states[name].differ(b.states[name])
            told = set()
            for one in found.get(name, []):
                told.update(range(one["offset"] // CLUSTER, -(-(one["offset"] + one["length"]) // CLUSTER)))
            assert sorted(told) == wanted, f"diff {a.file} {b.file}: drive {name}: {sorted(told)}, not {wanted}"
            same = same and not wanted
        assert self.code == (0 if same else 4), f"diff {a.file} {b.file}: exit code {self.code}"
