"""usage: chain_model.py VMABAK SEED STEPS

Random steps on a folder of archives, after each of which every instant that is kept has to be what it was; in the current
folder, which is empty. See model_world.py for what is checked. A step's choices depend on SEED, on its number and on what is
there: a failure comes again with its seed, but for the moments of kills."""
import random, sys, time, traceback

import model_backups, model_chains
from model_world import World

# The first steps make chains; then of each kind as many in a round, in random order.
FIRST = ("to", "backup", "to", "to", "backup", "to", "backup", "to")
ROUND = {"backup": 7, "to": 3, "together": 1, "lie": 1, "merge": 1, "merge_links": 1, "merge_over": 1, "prune": 1, "prune_merge": 2, "convert": 1,
         "diff": 1, "reader": 1, "remove": 1, "protect": 1, "lose": 1}


STEPS = {"backup": model_backups.backup, "to": model_backups.to, "together": model_backups.together, "lie": model_backups.lie, "merge": model_chains.merge,
         "merge_links": model_chains.merge_links, "merge_over": model_chains.merge_over, "prune": model_chains.prune,
         "prune_merge": model_chains.prune_merge, "convert": model_chains.convert, "diff": model_chains.diff,
         "reader": model_chains.reader, "remove": model_chains.remove, "protect": model_chains.protect,
         "lose": model_chains.lose}


def step(world, rng, what, kill):
    if not world.archives and what != "to":
        what = "backup"
    world.said.append(f"-- {what}{', killed' if kill else ''}")
    STEPS[what](world, rng, kill)
    if len(world.archives) > 14:
        model_chains.remove(world, rng, False)
    world.count(what)
    world.check(rng)


def main():
    vmabak, seed, n_steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    world = World(vmabak, seed)
    begin, todo = time.monotonic(), list(FIRST)
    for number in range(n_steps):
        rng, world.step = random.Random(f"{seed}/{number}"), number
        if not todo:
            todo = [what for what, n in ROUND.items() for _ in range(n)]
            rng.shuffle(todo)
        try:
            step(world, rng, todo.pop(), rng.random() < 0.25)
        except Exception:
            traceback.print_exc()
            print("\n".join(world.said[-12:]))
            sys.exit(f"FAILED in step {number} of seed {seed}")
    counts = ", ".join(f"{n} {what}" for what, n in sorted(world.counts.items()))
    print(f"seed {seed}: {n_steps} steps in {time.monotonic() - begin:.0f} s: {counts}")


if __name__ == "__main__":
    main()
