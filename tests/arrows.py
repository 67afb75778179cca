#!/usr/bin/python3
"""Proves that the rooms of the house see each other in one direction only, from what their files include and from what
their objects need: tests/arrows.sh is the way to call it.

Also that no files of one folder need each other in a circle, that nothing below cli/ prints, parses options or ends the
process, that each foreign library is behind one file, that no name is defined twice, and that none of ours begins like one
of libnbd's. What is wrong is listed by room. Exit 1 when anything is."""

import collections
import os
import re
import subprocess
import sys
import tempfile

# Folder: what it may use, and which of its headers others may include (none: any). A folder's listed headers are its
# contract, so its own files include them freely; any other header belongs to the .c file of its name.
HOUSE = {
    "base": ("", ""),
    "format": ("base", "format.h volume.h sums.h changelist.h drive_marks.h qcow2.h qcow2_build.h"),
    "nbd": ("base", "client.h server.h"),
    "drive": ("nbd/client format/qcow2 base", "drive.h qemuimg.h target.h argument.h turns.h bitmaps.h qcow2file.h qcow2bits.h bitmapfile.h given.h overlay.h"),
    "cow": ("drive base", "sweep.h buffer.h chunks.h capture.h generation.h checkpoints.h mirror.h arrival.h mapstream.h rebuilt.h"),
    "store": ("base", "store.h folder.h lock.h memo.h"),
    "reader/input": ("store format base", "input.h"),
    "reader": ("reader/input format drive base", "reader.h salvage.h lookup.h"),
    "writer/output": ("store format base", "output.h"),
    "writer": ("writer/output format base", "writer.h"),
    "archive": ("reader reader/input writer writer/output store cow drive format base", ""),
    "machine": ("cow drive nbd base", ""),
    "machine/qemu": ("machine cow drive nbd base", ""),
    "machine/libvirt": ("machine machine/qemu cow drive nbd base", ""),
    "machine/serve": ("machine cow drive nbd base", ""),
    "device": ("archive machine/qemu machine/serve drive format base", ""),
    "cli": ("device archive machine machine/qemu machine/libvirt machine/serve cow reader reader/input writer writer/output"
            " store drive nbd format base", ""),
}
# These two write and read the bytes that format/ describes.
INSIDE = {"format": ("reader", "reader/input", "writer")}

# What only the command line does. A child that was forked may _exit in the files named here.
PRINTS = "printf vprintf puts putchar perror psignal stdout stderr syslog vsyslog err errx warn warnx"
ENDS = "exit _exit _Exit quick_exit abort"
FORKS = "base/child.c"
OPTIONS = "getopt getopt_long getopt_long_only optarg optind opterr optopt"
TERMINAL = r"(memory|signals|report|progress|say)_\w+|say"

# Text goes to a terminal by say() (cli/say.c), which cleans it. JSON and completion are ASCII of our own; help and
# version are texts of our own; the bar is drawn of numbers; a config goes out as it is unless that is to a terminal.
PRINT = re.compile(r"(^|[^a-z_])(printf|puts|putchar|perror|psignal)\(|"
                   r"(fprintf|fputs|fputc|fwrite|vfprintf|dprintf)\(.*(stdout|stderr|STD(OUT|ERR)_)")
MAY_PRINT = re.compile(r"cli/(say|json|cmd_completion|cmd_help|version|progress)\.c:|"
                       r"cli/(cmd_config|report)\.c:.*(fwrite\(config->data|fputc\(.*stdout)")

# In how many files a library may be included: zlib writes gzip, reads gzip, and reads a cluster of a qcow2; libnbd
# connects and asks; gnutls has its memory apart; jansson: ours, and what qemu-img says; libxml: a file and its header.
# zstd, xxhash and libcrypto belong to the format.
LIBRARIES = {"archive": 1, "jansson": 2, "zlib": 3, "gnutls": 2, "libnbd": 1, "curl": 1, "fuse3": 1, "libvirt": 1, "libxml": 2}


def folder(path):
    return os.path.dirname(path)


def stem(path):
    return os.path.splitext(path)[0]


def is_of(path, parts):
    """Whether a file is in one of these folders, or begins with one of these paths."""
    return any(folder(path) == part or ("/" in part and part not in HOUSE and path.startswith(part)) for part in parts)


def sources(root, folders):
    for top in folders:
        for where, _, names in os.walk(os.path.join(root, top)):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(where, name), root)


class Tree:
    """Its files with their lines, what they include, and what their objects define and need."""

    def __init__(self, root, build):
        self.lines, self.includes, self.defines, self.owner = {}, {}, collections.defaultdict(set), {}
        self.needs, self.twice = collections.defaultdict(set), []
        for path in sources(root, [room for room in HOUSE if "/" not in room]):
            self.read(root, path)
        objects = [stem(path) + ".o" for path in self.lines if path.endswith(".c")]
        lacking = [path for path in objects if not os.path.exists(os.path.join(root, build, path))]
        # Without libvirt its folder is not built, and only what it includes is looked at.
        objects = [path for path in objects if path not in lacking]
        if any(folder(path) != "machine/libvirt" for path in lacking):
            sys.exit(f"arrows: not built: {' '.join(lacking)}")
        said = subprocess.run(["nm", "-A"] + objects, cwd=os.path.join(root, build), check=True, text=True,
                              stdout=subprocess.PIPE).stdout
        for line in said.splitlines():
            path, _, rest = line.partition(":")
            kind, name = rest.split()[-2:]
            path = stem(path) + ".c"
            if kind == "U":
                self.needs[path].add(name)
            elif kind.isupper():
                self.defines[path].add(name)
                if self.owner.setdefault(name, path) != path:
                    self.twice.append((path, name))

    def read(self, root, path):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.lines[path] = file.read().splitlines()
        found = (re.match(r'#include ["<]([^">]+)[">]', line) for line in self.lines[path])
        self.includes[path] = [match.group(1) for match in found if match]

    def uses(self, path):
        """Each file that this one includes or has a symbol of, with the names of these symbols."""
        uses = {name: [] for name in self.includes[path] if name in self.lines}
        for name in sorted(self.needs[path]):
            owner = self.owner.get(name)
            if owner and owner != path:
                uses.setdefault(owner, []).append(name)
        return uses


def by_what(names):
    return f" ({', '.join(names[:4])}{', ...' if len(names) > 4 else ''})" if names else ""


def check_rooms(tree):
    for path in tree.lines:
        if folder(path) not in HOUSE:
            yield path, "is in no room of the house"
            continue
        may = HOUSE[folder(path)][0].split()
        wrong = collections.defaultdict(list)
        for used, names in tree.uses(path).items():
            room = folder(used)
            public = HOUSE.get(room, ("", ""))[1].split()
            if room == folder(path):
                continue
            if not is_of(used, may):
                wrong[stem(used)] += names
            elif used.endswith(".h") and public and os.path.basename(used) not in public and \
                    folder(path) not in INSIDE.get(room, ()):
                yield path, f"includes {used}, which is private to its folder"
        for used, names in wrong.items():
            yield path, f"must not use {used}{by_what(names)}"


def circle_edges(tree, room):
    """File (without its ending) to file in one folder, and why."""
    edges = collections.defaultdict(lambda: collections.defaultdict(list))
    contract = {f"{room}/{name}" for name in HOUSE[room][1].split()}
    for path in tree.lines:
        if folder(path) != room:
            continue
        for used, names in tree.uses(path).items():
            if folder(used) == room and stem(used) != stem(path) and used not in contract:
                edges[stem(path)][stem(used)] += names
    return edges


def reachable(edges, begin):
    seen, todo = set(), [begin]
    while todo:
        for used in edges.get(todo.pop(), ()):
            if used not in seen:
                seen.add(used)
                todo.append(used)
    return seen


def check_circles(tree):
    for room in HOUSE:
        edges = circle_edges(tree, room)
        reach = {path: reachable(edges, path) for path in list(edges)}
        for path in sorted(edges):
            for used, names in edges[path].items():
                if path in reach.get(used, ()):
                    yield path, f"is in a circle: needs {used}{by_what(names)}"


def check_terminal(tree):
    for path in tree.lines:
        if folder(path) == "cli":
            continue
        for words, what in (PRINTS, "prints"), (ENDS, "ends the process"), (OPTIONS, "parses options"):
            names = sorted(tree.needs[path] & set(words.split()))
            if path in FORKS.split():
                names = [name for name in names if name != "_exit"]
            if names:
                yield path, f"{what}{by_what(names)}"
        names = sorted(name for name in tree.defines[path] if re.fullmatch(TERMINAL, name))
        if names:
            yield path, f"has names of the command line's{by_what(names)}"
    for path, lines in tree.lines.items():
        for number, line in enumerate(lines, 1):
            if path.endswith(".c") and PRINT.search(line) and not MAY_PRINT.match(f"{path}: {line}"):
                yield path, f"line {number}: text goes out by say() alone: {line.strip()}"


def check_twice(tree):
    """A linker takes either, and says nothing, when what has both is a library."""
    for path, name in tree.twice:
        yield path, f"{name} is in {tree.owner[name]}, too"


def check_libraries(tree):
    for library, limit in LIBRARIES.items():
        users = [path for path, names in tree.includes.items() if path != "cli/version.c" and
                 any(re.match(library + "[./]", name) and name not in tree.lines for name in names)]
        for path in users if len(users) > limit else ():
            yield path, f"<{library}> is included by {len(users)} files, and {limit} may"


def check_names(tree, root):
    lines = dict(tree.lines)
    for path in sources(root, ["tests"]):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            lines[path] = file.read().splitlines()
    for path in lines:
        names = {name for name in tree.defines[path] if name.startswith("nbd_")}
        seen = lines[path] + [line for header in tree.includes.get(path, ()) for line in lines.get(header, ())]
        if not any(re.match("#include <libnbd", line) for line in seen):
            guard = re.sub(r"\W", "_", path).upper()
            names |= {name for line in lines[path] if not line.startswith("#include")
                      for name in re.findall(r"\b(?:nbd|NBD)_\w+", line) if name not in ("nbd_handle", guard)}
        if names:
            yield path, f"has names that begin like libnbd's{by_what(sorted(names))}"


def violations(root, build):
    tree = Tree(root, build)
    for check in check_rooms, check_circles, check_terminal, check_twice, check_libraries:
        yield from check(tree)
    yield from check_names(tree, root)


def report(found):
    rooms = collections.defaultdict(list)
    for path, what in found:
        rooms[folder(path)].append(f"  {path}: {what}")
    for room, lines in sorted(rooms.items()):
        print(f"{room}/: {len(lines)}")
        print("\n".join(lines))
    n = sum(map(len, rooms.values()))
    print(f"arrows: {n} that must not be" if n else "arrows: ok")
    return 1 if n else 0


# Path, text, and what must be said of it: each of these files is wrong in one way, or in none.
FAULTS = (
    ("format/zz_own.h", "", ""),
    ("archive/zz_own.h", "", ""),
    ("machine/zz_own.h", "", ""),
    ("machine/serve/zz_own.h", "", ""),
    ("nbd/zz_own.h", "", ""),
    ("cow/zz_own.h", "", ""),
    ("reader/zz_own.c", "int zz_own = 1;", ""),
    ("base/zz_include.c", '#include "format/zz_own.h"', "must not use format/zz_own"),
    ("base/zz_symbol.c", "extern int zz_own; int zz_symbol_f(void); int zz_symbol_f(void) { return zz_own; }",
     "must not use reader/zz_own"),
    ("archive/zz_machine.h", '#include "machine/zz_own.h"', "must not use machine/zz_own"),
    ("machine/zz_archive.h", '#include "archive/zz_own.h"', "must not use archive/zz_own"),
    ("machine/qemu/zz_serve.h", '#include "machine/serve/zz_own.h"', "must not use machine/serve/zz_own"),
    ("drive/zz_server.h", '#include "nbd/zz_own.h"', "must not use nbd/zz_own"),
    ("archive/zz_private.h", '#include "cow/zz_own.h"', "private to its folder"),
    ("base/zz_a.c", "int zz_a(void), zz_b(void); int zz_a(void) { return zz_b(); }", "is in a circle: needs base/zz_b"),
    ("base/zz_b.c", "int zz_a(void), zz_b(void); int zz_b(void) { return zz_a(); }", "is in a circle: needs base/zz_a"),
    ("base/zz_c.c", '#include "base/zz_d.h"', "is in a circle: needs base/zz_d"),
    ("base/zz_d.h", '#include "base/zz_c.h"', "is in a circle: needs base/zz_c"),
    ("base/zz_c.h", "", ""),
    ("reader/zz_puts.c", '#include <stdio.h>\nint zz_puts_f(void); int zz_puts_f(void) { return puts ("") ; }', "prints (puts)"),
    ("reader/zz_stderr.c", "#include <stdio.h>\nint zz_stderr_f(void); int zz_stderr_f(void)\n{ FILE *f = stderr; return fflush(f); }",
     "prints (stderr)"),
    ("cli/zz_say.c", '#include <stdio.h>\nint zz_say_f(void); int zz_say_f(void) { return fputs("a", stdout); }',
     "by say() alone"),
    ("cow/zz_exit.c", "void _exit(int); void zz_exit_f(void); void zz_exit_f(void) { _exit(1); }", "ends the process (_exit)"),
    ("drive/zz_options.c", "extern int optind; int zz_options_f(void); int zz_options_f(void) { return optind; }", "parses options"),
    ("format/zz_memory.c", "int memory_zz = 1;", "has names of the command line's"),
    ("nbd/zz_nbd.c", "int nbd_zz = 1;", "begin like libnbd's"),
    ("base/zz_once.c", "int zz_same = 1;", ""),
    ("store/zz_twice.c", "int zz_same = 1;", "zz_same is in base/zz_once.c, too"),
    ("base/zz_library.h", "#include <libxml/tree.h>", "<libxml> is included by"),
    ("archive/zz_room/zz.h", "", "is in no room"),
    ("cli/zz_right.c", '#include "machine/zz_own.h"\nextern int zz_own; int zz_right_f(void); int zz_right_f(void) { return zz_own; }', ""),
    ("reader/zz_right.c", '#include "format/zz_own.h"', ""),
)


def copy(root, build, to):
    """The sources and objects, as links."""
    for path in list(sources(root, [room for room in HOUSE if "/" not in room])):
        for name in (path,) + ((f"{build}/{stem(path)}.o",) if path.endswith(".c") else ()):
            os.makedirs(os.path.join(to, folder(name)), exist_ok=True)
            os.symlink(os.path.abspath(os.path.join(root, name)), os.path.join(to, name))


def self_test(root, build):
    """A copy of the tree with all these faults in it, each of which must be told of its file, and nothing else."""
    with tempfile.TemporaryDirectory() as to:
        copy(root, build, to)
        for path, text, _ in FAULTS:
            os.makedirs(os.path.join(to, folder(path)), exist_ok=True)
            with open(os.path.join(to, path), "w", encoding="utf-8") as file:
                file.write(text + "\n")
        for path, _, _ in FAULTS:
            if path.endswith(".c"):
                subprocess.run([os.environ.get("CC", "cc"), "-w", "-I.", "-D_GNU_SOURCE", "-c", "-o",
                                f"{build}/{stem(path)}.o", path], cwd=to, check=True)
        found = collections.defaultdict(list)
        for path, what in violations(to, build):
            found[stem(path)].append(what)
    failed = 0
    for path, _, wanted in FAULTS:
        said = found[stem(path)]
        if wanted and not any(wanted in what for what in said) or len(said) > sum(
                bool(other) for name, _, other in FAULTS if stem(name) == stem(path)):
            failed += 1
            print(f"arrows: self-test: {path}: wanted '{wanted}': {said}")
    print(f"arrows: self-test: {'FAILED' if failed else 'ok'}, {len(FAULTS)} files")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "--self-test":
        sys.exit(self_test(sys.argv[2], sys.argv[3]))
    sys.exit(report(list(violations(sys.argv[1], sys.argv[2]))))
