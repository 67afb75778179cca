"""The steps of chain_model.py that add an archive: its drives change, and something may tell what has changed since its parent."""
import os, subprocess

from model_drives import CLUSTER, Qcow2, Raw
from model_world import Archive


def tell(world, archive, code, errors):
    """A warning is there for a reason that the model knows: a bitmap that lies."""
    lines = [line for line in errors.splitlines() if line.startswith("vmabak: ")]
    lies = [line for line in lines if "change list is wrong" in line]
    for line in lies:
        drive = world.drives[line.split("drive ", 1)[1].split(":", 1)[0]]
        parent = [one.step for one in world.parents_of(world.archives[archive])]
        assert drive.cut_in is not None and drive.cut_in > min(parent), f"{archive}: {errors}"
    assert code == 0 or lies or any("the clock is wrong" in line for line in lines), f"{archive}: exit code 3: {errors}"


# ---- drives ----

def change_drives(world, rng):
    for name in "abc":
        drive = world.drives.get(name)
        if drive is None and (not world.drives or rng.random() < 0.3):
            world.serial += 1
            kind, size = rng.choice((Raw, Qcow2)), 512 * rng.choice((1, 128, 1000, 4000))
            if kind is Raw:
                world.drives[name] = Raw(name, f"{name}{world.serial}.raw", size - rng.randrange(512))
            else:
                options = rng.choice(("", "", "cluster_size=4k", "extended_l2=on"))
                world.drives[name] = Qcow2(name, f"{name}{world.serial}.qcow2", size, options)
        elif drive is not None and len(world.drives) > 1 and rng.random() < 0.06:
            drive.remove()
            del world.drives[name]
    for drive in world.drives.values():
        if rng.random() < 0.8:
            drive.change(rng, world.step)
        if drive.kind == "qcow2" and drive.snapshots and rng.random() < 0.05:
            drive.go_back(rng.choice(sorted(drive.snapshots)))


# ---- change sources ----

def own_list(rng, drive, parent, lies=False):
    """A list of vmabak's own; one that lies leaves out a cluster. Lists know nothing of what is past the smaller size."""
    state, old, token = drive.state(), parent.states[drive.name], parent.tokens.get(drive.name)
    rows = []
    changed = [i for i in state.differ(old) if (i + 1) * CLUSTER <= min(state.size, old.size) or state.size == old.size]
    if lies:
        changed.remove(rng.choice([i for i in changed if (i + 1) * CLUSTER <= min(state.size, old.size)]))
    for i in changed:
        rows.append((i * CLUSTER, min(CLUSTER, state.size - i * CLUSTER)))
    if not lies:
        for _ in range(rng.randrange(3)):
            at = rng.randrange(state.size)
            rows.append((at, min(rng.choice((1, 300000)), state.size - at)))
    rows = [row for row in rows if row[1] > 0]
    rng.shuffle(rows)
    unchecked = token is None or rng.random() < 0.3
    path = f"tmp/list.{drive.name}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"# vmabak changes 1\n# size {state.size}\n")
        if not unchecked:
            file.write(f"# since {token}\n")
        file.writelines(f"{at} {n}\n" for at, n in rows)
        file.write(f"# end {len(rows)}\n")
    return ["--changed", f"{drive.name}={path}"] + (["--since-unchecked"] if unchecked else [])


def nbd_list(drive, bitmap):
    """What nbdinfo tells of a bitmap, or None if that cannot be read."""
    path = f"tmp/nbd.{drive.name}"
    done = subprocess.run(["nbdinfo", f"--map=qemu:dirty-bitmap:{bitmap}", "--json", "--", "[", "qemu-nbd", "-r", "-f", "qcow2", "-B", bitmap,
                           drive.path, "]"], capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        return None
    with open(path, "wb") as file:
        file.write(done.stdout)
    return ["--changed", f"{drive.name}={path},format=nbdinfo", "--since-unchecked"]


def choose_source(world, rng, drive, parent):
    """The drive's word and options that tell what changed since the parent."""
    if parent is None or drive.name not in parent.states or rng.random() < 0.25:
        return drive.word(), []
    told = drive.sources.get(parent.file)
    if told is not None and rng.random() < 0.8:
        kind, _, value = told.partition("=")
        if kind == "bitmap":
            words = nbd_list(drive, value)
            world.count("lists of nbdinfo" if words else "bitmaps that cannot be read")
            return drive.word(), words or []
        if kind == "snapshot":
            world.count("internal snapshots")
            return f"{drive.word()},since={value}", []
        world.count(kind)
        return f"{drive.word()},{told}", []
    if rng.random() < 0.6:
        world.count("own lists")
        return drive.word(), own_list(rng, drive, parent)
    return drive.word(), []


# ---- backups ----

def next_archive(world, rng, file):
    world.now += rng.choice((1800, 7200, 30000, 86400, 200000)) * (1 if rng.random() < 0.93 else -1)
    configs = {}
    if rng.random() < 0.3:
        configs["m.conf"] = f"step {world.serial}\n" * rng.randrange(1, 4000)
        with open("m.conf", "w", encoding="utf-8") as conf:
            conf.write(configs["m.conf"])
    return Archive(file, {name: drive.state() for name, drive in world.drives.items()}, configs, world.step)


def prepare_sources(world, rng, archive):
    """What the next backup can ask: an internal snapshot, of which this backup is; or a bitmap from now on."""
    words = {}
    for drive in world.drives.values():
        if drive.kind != "qcow2" or rng.random() < 0.3:
            continue
        if rng.random() < 0.5:
            name = f"s{world.serial}"
            drive.snapshot(name)
            words[drive.name] = f",snapshot={name}"
            drive.sources[archive.file] = "snapshot=" + name
            while len(drive.snapshots) > 3:
                old = next(iter(drive.snapshots))
                drive.forget(old)
                drive.sources = {file: told for file, told in drive.sources.items() if told != "snapshot=" + old}
        else:
            drive.add_bitmap(archive.file, f"b{world.serial}")
    return words


def choose_parent(world, rng, lies):
    """Sometimes one since which something can tell what has changed."""
    told = sorted({file for drive in world.drives.values() for file in drive.sources if file in world.archives})
    if told and rng.random() < 0.4:
        return world.archives[rng.choice(told)]
    return world.pick(rng) if world.archives and (lies or rng.random() < 0.85) else None


def choose_drives(world, rng, archive, parent, lies):
    """The drives' words, options, and of which drive the list lies."""
    words, options, liar = [], [], None
    prepared = prepare_sources(world, rng, archive)
    for drive in world.drives.values():
        word, more = drive.word(), []
        if lies and liar is None and could_lie(drive, parent):
            liar = drive.name
            more = own_list(rng, drive, parent, lies=True)
        elif not lies:
            word, more = choose_source(world, rng, drive, parent)
        if drive.name != liar:
            word += prepared.get(drive.name, "")
        words.append(word)
        options += more
    return words, [one for i, one in enumerate(options) if one != "--since-unchecked" or one not in options[:i]], liar


def backup(world, rng, kill, lies=False):
    change_drives(world, rng)
    world.serial += 1
    archive = next_archive(world, rng, f"x{world.serial}.vmab")
    parent = choose_parent(world, rng, lies)
    words, options, liar = choose_drives(world, rng, archive, parent, lies)
    if lies and liar is None:
        return
    if parent is not None:
        options += ["--parent", name_parent(rng, parent), "--audit", "1/1" if lies else rng.choice(("0", "1/2", "1/30"))]
    tracks = rng.random() < 0.5 and not any(",snapshot=" in word for word in words)
    options += ["--track"] if tracks else []
    options += rng.choice(([], [], ["--compress", "none"], ["--extent-size", "64K"], ["--threads", "3"]))
    options += ["-c", "m.conf"] if archive.configs else []
    command = ["backup", *options, "-o", "d/" + archive.file, *words]
    if kill:
        world.unfinished = [archive.file]
        if world.run_killed(rng, *command) and not os.path.exists("d/" + archive.file):
            world.check(rng)
            world.run(*command, codes=(0, 3))  # which removes what the killed one left
        world.unfinished = []
        world.learn(archive)
        world.sweep_parts(archive.file)
    else:
        world.run(*command, codes=(3,) if lies else (0, 3))
        errors, code = world.errors, world.code
        world.learn(archive)
        if lies:
            assert f"drive {liar}: its change list is wrong" in errors, errors
        else:
            tell(world, archive.file, code, errors)
    assert archive.parent == (parent.uuid if parent else None), (archive.file, archive.parent)
    after_backup(world, archive, tracks and not kill)


def lie(world, rng, kill):
    backup(world, rng, False, lies=True)


def after_backup(world, archive, tracks):
    for drive in world.drives.values():
        told, token = drive.sources.get(archive.file, ""), archive.tokens[drive.name] or ""
        if told.startswith("snapshot=") and not token.startswith("qcow2:snapshot"):
            del drive.sources[archive.file]
        if drive.kind == "raw" and world.can_reflink and tracks:
            world.serial += 1
            drive.move_on(archive.file, f"{drive.name}{world.serial}.raw")


def could_lie(drive, parent):
    if drive.name not in parent.states:
        return False
    old, state = parent.states[drive.name], drive.state()
    return any((i + 1) * CLUSTER <= min(old.size, state.size) for i in state.differ(old))


def name_parent(rng, parent):
    """By its sums file, by its own archives, by the sums beside it."""
    path = "d/" + parent.file
    if os.path.exists(path + ".sums"):
        if rng.random() < 0.3:
            return path + ".sums"
        if rng.random() < 0.2:
            os.unlink(path + ".sums")
    return path


def to(world, rng, kill):
    change_drives(world, rng)
    world.serial += 1
    archive = next_archive(world, rng, "")
    machine, every = rng.choice("mmn"), rng.choice((0, 0, 3, 30))
    before = sorted(one.file for one in world.archives.values() if one.machine == machine)
    tracks = rng.random() < 0.5
    command = ["backup", "--to", "d", "--name", machine, "--full-every", str(every), *(["--track"] if tracks else []),
               *(["-c", "m.conf"] if archive.configs else []), *(drive.word() for drive in world.drives.values())]
    if kill and world.run_killed(rng, *command):
        world.unfinished = [machine + "-"]
        there = find_new(world, archive)
        world.check(rng)
        # Either of them removes what is left.
        world.run(*(["prune", "-q", "d", "--name", machine, "--keep-last", "1000"] if there else command), codes=(0, 3))
        world.unfinished = []
        there = there or find_new(world, archive)
    elif kill:
        find_new(world, archive)
    else:
        world.run(*command, codes=(0, 3))
        errors, code = world.errors, world.code
        find_new(world, archive)
        tell(world, archive.file, code, errors)
    assert archive.machine == machine and (not before or archive.file > before[-1]), (archive.file, before)
    expected = None
    if before and not (every and len(world.chain(world.archives[before[-1]])) >= every):
        expected = world.archives[before[-1]].uuid
    assert archive.parent == expected, (archive.file, archive.parent, expected)
    after_backup(world, archive, tracks and not kill)


def new_names(world):
    return sorted(name for name in os.listdir("d") if name.endswith(".vmab") and name[0] != "." and name not in world.archives)


def together(world, rng, kill):
    """Both machines at once, and a prune that removes nothing waits for each of them or they for it."""
    change_drives(world, rng)
    world.serial += 1
    archive = next_archive(world, rng, "")
    newest = {machine: max((one.file for one in world.archives.values() if one.machine == machine), default=None) for machine in "mn"}
    configs = ["-c", "m.conf"] if archive.configs else []
    world.run_together(*(["backup", "-q", "--lock-wait", "100", "--to", "d", "--name", machine, "--full-every", "0", *configs,
                          *(drive.word() for drive in world.drives.values())] for machine in "mn"),
                       ["prune", "-q", "--lock-wait", "100", "d", "--keep-last", "1000", *rng.choice(([], ["--merge"]))])
    new = new_names(world)
    assert [name[0] for name in new] == ["m", "n"], new
    for name in new:
        made = world.learn(Archive(name, archive.states, archive.configs, world.step))
        parent = newest[made.machine]
        assert made.parent == (parent and world.archives[parent].uuid), (name, made.parent, parent)


def find_new(world, archive):
    new = new_names(world)
    assert len(new) <= 1, new
    if new:
        archive.file = new[0]
        world.learn(archive)
    return bool(new)
