"""The steps of chain_model.py that merge, convert, compare, prune and remove archives that are there."""
import datetime, os, shutil, subprocess

from model_world import Archive


def merge(world, rng, kill):
    """A full archive beside the folder, as they are stored or compressed again; also of one that comes through a pipe."""
    archive = world.pick(rng)
    words = ["d/" + archive.file]
    if rng.random() < 0.5:
        words = ["d/" + one.file for one in world.chain(archive)]
    words += rng.choice(([], ["--compress", "none"], ["--compress", "zstd:3", "--threads", "2"]))
    words = ["merge", "-q", *words, "-o", "tmp/full.vmab", "--force"]
    if kill:
        world.run_killed(rng, *words)
    if rng.random() < 0.5:
        world.run(*words)
    else:
        words[2:3] = ["-", *("d/" + one.file for one in world.chain(archive)[1:] if "d/" + one.file not in words)]
        with subprocess.Popen(["cat", "d/" + archive.file], stdout=subprocess.PIPE) as cat:
            world.run(*words, stdin=cat.stdout)
    world.run("verify", "-q", "tmp/full.vmab")
    world.run("restore", "-q", "--force", "tmp/full.vmab", "-C", "merged")
    world.compare(archive, "merged", "merge")
    world.empty("merged")
    os.unlink("tmp/full.vmab")


def merge_links(world, rng, kill):
    """Some links of a chain become one, and those that nothing else needs are gone: what stands on them finds it."""
    chain = world.chain(world.pick(rng))
    if len(chain) < 2:
        return
    first = rng.randrange(len(chain) - 1)
    links = chain[first:rng.randrange(first + 2, len(chain) + 1)]
    world.serial += 1
    made = Archive(f"y{world.serial}.vmab", links[0].states, links[0].configs, links[0].step)
    words = ["d/" + one.file for one in links] + ["-o", "d/" + made.file]
    if kill:
        world.unfinished = [made.file]
        if world.run_killed(rng, "merge", "-q", *words) and not os.path.exists("d/" + made.file):
            world.check(rng)
            world.run("merge", "-q", *words)
        world.unfinished = []
        world.sweep_parts(made.file)
    else:
        world.run("merge", "-q", *words)
    world.learn(made)
    assert (made.uuid, made.parent) == (links[0].uuid, links[-1].parent), (made.file, made.uuid, made.parent)
    for one in links:
        if not one.protected and can_go(world, one):
            world.unlink(one)


def can_go(world, archive):
    """What stands on it would not lack it."""
    twins = [one for one in world.archives.values() if one.uuid == archive.uuid and one is not archive]
    return bool(twins) or not any(one.parent == archive.uuid for one in world.archives.values())


def merge_over(world, rng, kill):
    """Onto the newest of the links itself."""
    chain = world.chain(world.pick(rng))
    if len(chain) < 2:
        return
    words = ["d/" + chain[0].file, "--force", "-o", "d/" + chain[0].file]
    if kill:
        world.unfinished = [chain[0].file]
        chain[0].was_killed = world.run_killed(rng, "merge", "-q", *words)
        world.learn(chain[0])
        world.check(rng)
    if chain[0].parent is not None:
        world.run("merge", "-q", *words)
    else:
        world.sweep_parts(chain[0].file)
    world.unfinished = []
    world.learn(chain[0])
    assert chain[0].parent is None


def convert(world, rng, kill):
    """VMA makes drives multiples of 512 bytes."""
    archive = world.pick(rng)
    ending = rng.choice(("vma", "vma.zst", "vmab"))
    words = ["d/" + one.file for one in world.chain(archive)] if ending == "vmab" else ["d/" + archive.file]
    out = "tmp/converted." + ending
    if kill:
        world.run_killed(rng, "convert", "-q", *words, "-o", out)
    world.run("convert", "-q", *words, "--force", "-o", out, codes=(0, 3) if ending != "vmab" else (0,))
    world.run("restore", "-q", "--force", out, "-C", "converted")
    if ending != "vmab":
        for name, state in archive.states.items():
            path = f"converted/{name}.raw"
            assert os.path.getsize(path) == -(-state.size // 512) * 512, f"convert: {archive.file}: {name}"
            os.truncate(path, state.size)
    world.compare(archive, "converted", "convert to " + ending)
    world.empty("converted")
    os.unlink(out)


# ---- what goes ----

def periods(when):
    day = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    return {"hourly": when // 3600, "daily": day.date(), "weekly": day.isocalendar()[:2], "monthly": (day.year, day.month), "yearly": day.year}


def kept_by_rules(archives, rules):
    """Of archives of one machine, oldest first."""
    kept = {one.file for one in archives[max(0, len(archives) - rules.get("last", 0)):]}
    for rule, n in rules.items():
        seen = []
        for one in reversed(archives):
            period = periods(one.created).get(rule)
            if rule != "last" and period not in seen and len(seen) < n:
                seen.append(period)
                kept.add(one.file)
    return kept


def plan_prune(world, machine, rules, merging):
    """The names of what stays of a machine, and of all of it. What is needed is merged unless other archives or protected
    ones stand on it."""
    of_it = sorted((one for one in world.archives.values() if one.machine == machine), key=lambda one: one.file)
    kept = kept_by_rules(of_it, rules) | {one.file for one in of_it if one.protected}
    stand = [one for one in world.archives.values() if one.machine != machine or one.protected or (one.file in kept and not merging)]
    names = {one.file for one in of_it}
    return names & (kept | world.ancestors(stand)), names


def prune(world, rng, kill, merging=False):
    rules = {rule: rng.randrange(1, 4) for rule in rng.sample(("last", "hourly", "daily", "weekly", "monthly", "yearly"), rng.randrange(1, 4))}
    machines = [rng.choice("mn")] if rng.random() < 0.5 else ["m", "n"]
    machines = [machine for machine in machines if any(one.machine == machine for one in world.archives.values())]
    if not machines:
        return
    words = ["prune", "d", *(["--name", machines[0]] if len(machines) == 1 else []), *(["--merge"] if merging else [])]
    for rule, n in rules.items():
        words += [f"--keep-{rule}", str(n)]
    dry = world.run_json(*words, "--dry-run")
    plans = {machine: plan_prune(world, machine, rules, merging) for machine in machines}
    if kill and world.run_killed(rng, *words):
        world.unfinished = [machine + "-" for machine in machines]
        for one in world.archives.values():
            one.was_killed = one.was_killed or one.machine in machines
        for machine, (left, all_of_it) in plans.items():
            gone = {file for file in all_of_it if not os.path.exists("d/" + file)}
            assert not gone & left, f"prune was killed and removed {gone & left}"
            for file in gone:
                world.drop(file)
        for one in list(world.archives.values()):
            world.learn(one)
        world.check(rng)
        dry = world.run_json(*words, "--dry-run")
        plans = {machine: plan_prune(world, machine, rules, merging) for machine in machines}
        kill = False
    if not kill:
        world.run(*words)
    world.unfinished = []
    for one in dry["machines"]:
        if one["machine"] in plans:
            told = {archive["archive"] for archive in one["archives"] if archive["kept"]}
            assert told == plans[one["machine"]][0], ("--dry-run", sorted(told), sorted(plans[one["machine"]][0]))
    for left, all_of_it in plans.values():
        there = {file for file in all_of_it if os.path.exists("d/" + file)}
        assert there == left, ("prune", sorted(there), sorted(left))
        for file in all_of_it - there:
            world.drop(file)
    for one in list(world.archives.values()):
        world.learn(one)


def prune_merge(world, rng, kill):
    prune(world, rng, kill, merging=True)


def remove(world, rng, kill):
    """By hand, of what nothing stands on; and the folder is kept small."""
    while True:
        leaves = [one for one in world.archives.values() if can_go(world, one) and not one.protected]
        if leaves:
            world.unlink(rng.choice(sorted(leaves, key=lambda one: one.file)))
        if len(world.archives) <= 10 or not leaves:
            return


def protect(world, rng, kill):
    archive = world.pick(rng)
    for one in world.archives.values():
        if one.protected or one is archive:
            one.protected = not one.protected
            path = f"d/{one.file}.protected"
            os.unlink(path) if not one.protected else open(path, "w", encoding="utf-8").close()


def diff(world, rng, kill):
    a, b = (rng.choice(sorted(world.archives)) for _ in range(2))
    world.check_diff(world.archives[a], world.archives[b])


def reader(world, rng, kill):
    world.check_reader(world.pick(rng))


# ---- what is lost for a while ----

def without(world, lost, archive):
    """Whether it can be restored without that one."""
    return archive is not lost and (archive.parent is None or any(without(world, lost, one) for one in world.parents_of(archive)))


def lose(world, rng, kill):
    """An archive lies elsewhere for a while: what stands on it alone is told to lack it, all else is as before."""
    lost = world.pick(rng)
    os.makedirs("tmp/away", exist_ok=True)
    files = [name for name in (lost.file, lost.file + ".sums") if os.path.exists("d/" + name)]
    for name in files:
        os.rename("d/" + name, "tmp/away/" + name)
    there = [one for one in world.archives.values() if one is not lost]
    whole = [one for one in there if without(world, lost, one)]
    lacking = [one for one in there if one not in whole]
    said = world.run_json("list", "d", codes=(0, 4))
    found = {one["archive"]: one["state"] for machine in said["machines"] for one in machine["archives"]}
    assert world.code == (4 if any(one.machine for one in lacking) else 0), (lost.file, world.code)
    assert found == {one.file: "whole" if one in whole else "lacks_parent" for one in there}, (lost.file, found)
    if lacking:
        one = rng.choice(lacking)
        world.run("restore", "-q", "d/" + one.file, "-C", "lacking", codes=(1,))
        assert lost.uuid in world.errors and not os.path.exists("lacking"), (lost.file, world.errors)
        world.run("verify", "-q", "--chain", "d/" + one.file, codes=(1, 4))
        world.run("restore", "-q", "d/" + one.file, "--parents", "tmp/away", "-C", "lacking")
        world.compare(one, "lacking", "restore --parents")
        shutil.rmtree("lacking")
    if whole:
        world.check_restore(rng, rng.choice(whole))
    machine = rng.choice("mn")
    rest = sorted((one for one in there if one.machine == machine), key=lambda one: one.file)
    if rest and rng.random() < 0.7:
        words = ["prune", "d", "--name", machine, "--keep-last", "1", "--dry-run", *rng.choice(([], ["--merge"]))]
        dry = world.run_json(*words, codes=(3,) if set(rest) & set(lacking) else (0,))
        kept = {one["archive"] for one in dry["machines"][0]["archives"] if one["kept"]}
        must = {one.file for one in rest if one in lacking} | {one.file for one in [one for one in rest if one in whole][-1:]}
        assert must <= kept, (lost.file, words, kept, must)
    for name in files:
        os.rename("tmp/away/" + name, "d/" + name)
