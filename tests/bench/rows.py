"""What is measured: groups of rows, each a shell command in the work folder. Ours run with
--no-sync where the peer beside them does not wait for the disk either."""
import os
import shutil

HERE = os.path.dirname(os.path.abspath(__file__))
VMA = os.environ.get("VMA") or "vma"
CHECKED = "what the first round made is compared with the source"

os.environ.update(RESTIC_PASSWORD="bench", BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes",
                  BORG_RELOCATED_REPO_ACCESS_IS_OK="yes", BORG_EXIT_CODES="modern")


class Row:
    """command is timed, before is not. reads: what must be in the page cache, or with cold not in
    it. out: removed afterwards. size: whose size is told. same: two files that must be equal.
    against: the row of ours that this peer is beside. needs: programs."""

    def __init__(self, name, command, **more):
        self.name, self.command = name, command
        self.before, self.against = more.get("before"), more.get("against")
        self.reads, self.out = more.get("reads", ["system.raw"]), more.get("out", ["out.raw"])
        self.size, self.same = more.get("size"), more.get("same")
        self.needs, self.slow, self.cold = more.get("needs", []), more.get("slow"), more.get("cold")

    def installed(self):
        return all(shutil.which(tool) for tool in self.needs)


class Group:
    """prepare: pairs of a file and the command that makes it, before the first round."""

    def __init__(self, key, title, about, group_rows, prepare=()):
        self.key, self.title, self.about, self.rows, self.prepare = key, title, about, group_rows, prepare


def backup(name, options, source="system.raw", archive="out.vmab", **more):
    return Row("vmabak backup " + name, f"$VMABAK backup -q {options} -o {archive} disk={source}",
               reads=[source], out=[archive], size=archive, **more)


def restore(name, options, archive, source="system.raw", **more):
    return Row("vmabak restore " + name, f"$VMABAK restore -q {options} {archive} -d disk=out.raw",
               reads=[archive], same=[source, "out.raw"], **more)


def archive_of(path, options, source="system.raw"):
    return path, f"$VMABAK backup -q --no-sync {options} -o {path} disk={source}"


ZSTD = "zstd -q -1 -T2"
BORG = "BORG_BASE_DIR=$PWD/{0}.base borg"
BORG_INIT = f"mkdir {{0}}.base && {BORG} init -e none {{0}}"

BACKUP = Group("backup", "Backup of the system image", "To a file. borg and restic sync what they "
               "write; borg is not encrypted, restic always is.", [
    backup("zstd", "--no-sync"),
    Row("zstd -1 -T2", f"{ZSTD} system.raw -o out.zst", out=["out.zst"], size="out.zst",
        against="vmabak backup zstd"),
    backup("zstd --threads 1", "--no-sync --threads 1"),
    Row("tar -S to zstd -1 -T2", f"tar -cSf - system.raw | {ZSTD} -o out.zst", out=["out.zst"], size="out.zst",
        slow=True, against="vmabak backup zstd"),
    backup("none", "--no-sync --compress none"),
    Row("cp --sparse=always", "cp --sparse=always system.raw out.raw", against="vmabak backup none"),
    backup(".vma", "--no-sync", archive="out.vma"),
    Row("qemu-img convert raw", "qemu-img convert -f raw -O raw system.raw out.raw", needs=["qemu-img"],
        against="vmabak backup none"),
    Row("nbdcopy from qemu-nbd", "nbdcopy -- [ qemu-nbd -f raw system.raw ] out.raw",
        needs=["nbdcopy", "qemu-nbd"], slow=True, against="vmabak backup none"),
    backup(".vma.zst", "--no-sync", archive="out.vma.zst"),
    backup("zstd, synced", ""),
    Row("zstd -1 -T2, then sync", f"{ZSTD} system.raw -o out.zst && sync out.zst", out=["out.zst"],
        slow=True, against="vmabak backup zstd, synced"),
    Row("vma create", f"{VMA} create out.vma disk=system.raw", out=["out.vma"], size="out.vma", needs=[VMA],
        against="vmabak backup .vma"),
    Row("vma create to zstd -1 -T2", f"{VMA} create /dev/stdout disk=system.raw | {ZSTD} -o out.zst",
        out=["out.zst"], size="out.zst", needs=[VMA], against="vmabak backup zstd"),
    Row("qemu-img convert qcow2 zstd",
        "qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd system.raw out.qcow2", slow=True,
        needs=["qemu-img"], out=["out.qcow2"], size="out.qcow2", against="vmabak backup zstd"),
    Row("borg zstd,1", BORG.format("out.borg") + " create -C zstd,1 out.borg::a system.raw", slow=True,
        before=BORG_INIT.format("out.borg"), needs=["borg"], out=["out.borg", "out.borg.base"],
        size="out.borg", against="vmabak backup zstd, synced"),
    Row("restic", "restic -q -r out.restic --no-cache backup system.raw", slow=True, needs=["restic"],
        before="restic -q -r out.restic --no-cache init", out=["out.restic"], size="out.restic",
        against="vmabak backup zstd, synced"),
])

ARCHIVES = [
    archive_of("in.vmab", ""), archive_of("in.none.vmab", "--compress none"), archive_of("in.vma", ""),
    archive_of("in.vma.zst", ""), ("in.zst", f"{ZSTD} system.raw -o in.zst"),
]

RESTORE = Group("restore", "Restore of the system image", f"To a new file; {CHECKED}. Ours check every "
                "checksum.", [
    restore("zstd", "--no-sync", "in.vmab"),
    Row("zstd -d --sparse", "zstd -q -d --sparse in.zst -o out.raw", reads=["in.zst"],
        same=["system.raw", "out.raw"], against="vmabak restore zstd"),
    restore("zstd --threads 1", "--no-sync --threads 1", "in.vmab"),
    Row("zstd -dc to tar -x", "mkdir out.dir && zstd -q -dc in.tar.zst | tar -xf - -C out.dir",
        reads=["in.tar.zst"], out=["out.dir"], same=["system.raw", "out.dir/system.raw"],
        slow=True, against="vmabak restore zstd"),
    restore("none", "--no-sync", "in.none.vmab"),
    restore(".vma", "--no-sync", "in.vma"),
    Row("cp --sparse=always back", "cp --sparse=always system.raw out.raw", against="vmabak restore none"),
    restore(".vma.zst", "--no-sync", "in.vma.zst"),
    restore("zstd, synced", "", "in.vmab"),
    Row("zstd -d --sparse, then sync", "zstd -q -d --sparse in.zst -o out.raw && sync out.raw",
        reads=["in.zst"], slow=True, against="vmabak restore zstd, synced"),
    restore(".vma, synced", "", "in.vma"),
    Row("vma extract", f"{VMA} extract in.vma out.dir", reads=["in.vma"], out=["out.dir"], needs=[VMA],
        against="vmabak restore .vma, synced"),
    Row("zstd -dc to vma extract", f"zstd -q -dc in.vma.zst | {VMA} extract - out.dir", reads=["in.vma.zst"],
        out=["out.dir"], needs=[VMA], against="vmabak restore zstd, synced"),
    Row("qemu-img convert qcow2 zstd back", "qemu-img convert -f qcow2 -O raw in.qcow2 out.raw",
        reads=["in.qcow2"], slow=True, needs=["qemu-img"], same=["system.raw", "out.raw"],
        against="vmabak restore zstd"),
    Row("borg extract", "mkdir out.dir && cd out.dir && BORG_BASE_DIR=$PWD/../in.borg.base borg extract "
        "--sparse ../in.borg::a", reads=["in.borg"], slow=True, needs=["borg"], out=["out.dir"],
        same=["system.raw", "out.dir/system.raw"], against="vmabak restore zstd"),
    Row("restic restore", "restic -q -r in.restic --no-cache restore latest -t out.dir", reads=["in.restic"],
        slow=True, needs=["restic"], out=["out.dir"], against="vmabak restore zstd"),
], ARCHIVES + [
    ("in.tar.zst", f"tar -cSf - system.raw | {ZSTD} -o in.tar.zst"),
    ("in.qcow2", "! command -v qemu-img || qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd "
     "system.raw in.qcow2"),
    ("in.borg", f"! command -v borg || {{ {BORG_INIT.format('in.borg')} && {BORG.format('in.borg')} create "
     "-C zstd,1 in.borg::a system.raw; }"),
    ("in.restic", "! command -v restic || { restic -q -r in.restic --no-cache init && "
     "restic -q -r in.restic --no-cache backup system.raw; }"),
])

CHECK = Group("check", "Checking and listing", "Archives of the system image.", [
    Row("vmabak verify zstd", "$VMABAK verify -q in.vmab", reads=["in.vmab"]),
    Row("zstd -t", "zstd -q -t in.zst", reads=["in.zst"], against="vmabak verify zstd"),
    Row("vmabak verify zstd --threads 1", "$VMABAK verify -q --threads 1 in.vmab", reads=["in.vmab"]),
    Row("vmabak verify none", "$VMABAK verify -q in.none.vmab", reads=["in.none.vmab"]),
    Row("vmabak verify .vma", "$VMABAK verify -q in.vma", reads=["in.vma"]),
    Row("vmabak verify .vma.zst", "$VMABAK verify -q in.vma.zst", reads=["in.vma.zst"]),
    Row("vmabak verify --quick", "$VMABAK verify -q --quick in.vmab", reads=["in.vmab"]),
    Row("cat archive", "cat in.vmab >/dev/null", reads=["in.vmab"], against="vmabak verify --quick"),
    Row("vmabak verify --quick none", "$VMABAK verify -q --quick in.none.vmab", reads=["in.none.vmab"]),
    Row("cat archive none", "cat in.none.vmab >/dev/null", reads=["in.none.vmab"],
        against="vmabak verify --quick none"),
    Row("vmabak list", "$VMABAK list in.vmab", reads=["in.vmab"]),
], ARCHIVES)


def image_group(name, title):
    source, archive, zst = f"{name}.raw", f"in.{name}.vmab", f"in.{name}.zst"
    return Group(name, title, f"Backup and restore; {CHECKED}.", [
        backup(f"zstd, {name}", "--no-sync", source),
        Row(f"zstd -1 -T2, {name}", f"{ZSTD} {source} -o out.zst", reads=[source], out=["out.zst"], size="out.zst",
            against=f"vmabak backup zstd, {name}"),
        backup(f"none, {name}", "--no-sync --compress none", source),
        Row(f"cp --sparse=always, {name}", f"cp --sparse=always {source} out.raw", reads=[source],
            against=f"vmabak backup none, {name}"),
        Row(f"qemu-img convert qcow2 zstd, {name}", "qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd "
            f"{source} out.qcow2", reads=[source], slow=True, needs=["qemu-img"], out=["out.qcow2"],
            size="out.qcow2", against=f"vmabak backup zstd, {name}"),
        restore(f"zstd, {name}", "--no-sync", archive, source),
        Row(f"zstd -d --sparse, {name}", f"zstd -q -d --sparse {zst} -o out.raw", reads=[zst],
            same=[source, "out.raw"], against=f"vmabak restore zstd, {name}"),
    ], [archive_of(archive, "", source), (zst, f"{ZSTD} {source} -o {zst}")])


HOLE = Group("hole", "A hole of 64 GiB", "The archives are of a few KB.", [
    backup("zstd, hole", "--no-sync", "hole.raw"),
    Row("vmabak restore zstd, hole", "$VMABAK restore -q --no-sync in.hole.vmab -d disk=out.raw",
        reads=["in.hole.vmab"]),
    Row("cp --sparse=always, hole", "cp --sparse=always hole.raw out.raw", reads=["hole.raw"],
        against="vmabak backup zstd, hole"),
    Row("qemu-img convert raw, hole", "qemu-img convert -f raw -O raw hole.raw out.raw", reads=["hole.raw"],
        needs=["qemu-img"], against="vmabak backup zstd, hole"),
    Row("vma create, hole", f"{VMA} create out.vma disk=hole.raw", reads=["hole.raw"], out=["out.vma"],
        needs=[VMA], slow=True, against="vmabak backup zstd, hole"),
], [archive_of("in.hole.vmab", "", "hole.raw")])

LEVELS = Group("levels", "Levels of zstd, system image", "", [
    backup("zstd:1", "--no-sync --compress zstd:1", slow=True),
    backup("zstd:3", "--no-sync --compress zstd:3", slow=True),
    Row("zstd -3 -T2", "zstd -q -3 -T2 system.raw -o out.zst", out=["out.zst"], size="out.zst", slow=True,
        against="vmabak backup zstd:3"),
])

COLD = Group("cold", "A source that is not in the page cache", "The system image; its pages are given "
             "back before each run.", [
    backup("none, cold", "--no-sync --compress none", cold=True, slow=True),
    backup("none, cold, --direct", "--no-sync --direct --compress none", cold=True, slow=True),
    Row("cp --sparse=always, cold", "cp --sparse=always system.raw out.raw", cold=True, slow=True,
        against="vmabak backup none, cold"),
    Row("dd to /dev/null, cold", "dd if=system.raw of=/dev/null bs=4M", cold=True, slow=True,
        against="vmabak backup none, cold"),
    backup("zstd, cold", "--no-sync", cold=True, slow=True),
    backup("zstd, cold, --direct", "--no-sync --direct", cold=True, slow=True),
    backup("zstd, warm, --direct", "--no-sync --direct", slow=True),
    backup("none, warm, --direct", "--no-sync --direct --compress none", slow=True),
])

# A qcow2 whose backing file answers late: what the device would be to a program that reads it.
LATE = "nbdkit -U - --filter=delay file pages.raw delay-read=10ms --run '{}'"
OVERLAY = "qemu-img create -q -f qcow2 -b nbd+unix:///?socket=$unixsocket -F raw out.qcow2"
LATENCY = Group("latency", "A source that answers each read 10 ms late", "The database-like image behind "
                "nbdkit's delay filter; ours and qemu-img read it as the backing file of a qcow2, nbdcopy "
                "directly.", [
    Row("vmabak backup none, late", LATE.format(OVERLAY + " && $VMABAK backup -q --no-sync --compress none "
        "-o out.vmab disk=out.qcow2"), needs=["nbdkit", "qemu-nbd"], reads=["pages.raw"], slow=True,
        out=["out.vmab", "out.qcow2"], size="out.vmab"),
    Row("qemu-img convert raw, late", LATE.format(OVERLAY + " && qemu-img convert -O raw out.qcow2 out.raw"),
        needs=["nbdkit", "qemu-nbd"], reads=["pages.raw"], slow=True, out=["out.raw", "out.qcow2"],
        against="vmabak backup none, late"),
    Row("nbdcopy, late", LATE.format("nbdcopy $uri out.raw"), needs=["nbdkit", "nbdcopy"], reads=["pages.raw"],
        slow=True, against="vmabak backup none, late"),
])

INCREMENTS = [f"in.c{n}.vmab" for n in range(1, 6)]
CHAIN_FILES = ["in.c0.vmab"] + INCREMENTS


def increment(n):
    """The next instant: 2 in 100 of the image are others, in runs of 64 KiB to 4 MiB."""
    return (f"in.c{n}.vmab", f"cp --sparse=always in.c{n - 1}.raw in.c{n}.raw && /usr/bin/python3 {HERE}/inputs.py change in.c{n}.raw 50 && "
            f"$VMABAK backup -q --no-sync --parent in.c{n - 1}.vmab -o in.c{n}.vmab disk=in.c{n}.raw && rm in.c{n - 1}.raw")


FULL = "$VMABAK backup -q --no-sync --sums in.c0.vmab.sums -o in.c0.vmab disk=in.c0.raw"
NEXT = "$VMABAK backup -q --no-sync --parent in.c0.vmab.sums"
AGAIN = "a second time, with another time of its last change, as that of a running machine has, so that it is read"

CHAIN = Group("chain", "A chain", f"A full archive of the system image and five increments of 2 % each; {CHECKED}. "
              f"restic and borg back the image up {AGAIN}. qemu-img stops at the first difference, and so compares two that are "
              "alike.", [
    Row("vmabak increment, unchanged", f"{NEXT} -o out.vmab disk=system.raw", reads=["system.raw", "in.c0.vmab.sums"],
        out=["out.vmab", "out.vmab.sums"], size="out.vmab"),
    Row("cat of the image", "cat system.raw >/dev/null", against="vmabak increment, unchanged"),
    Row("restic again", "restic -q -r in.chain.restic --no-cache backup system.raw", before="touch system.raw", slow=True,
        reads=["system.raw", "in.chain.restic"], needs=["restic"], against="vmabak increment, unchanged"),
    Row("borg again", BORG.format("in.chain.borg") + " create -C zstd,1 in.chain.borg::a-$$ system.raw", before="touch system.raw",
        slow=True, reads=["system.raw", "in.chain.borg"], needs=["borg"], against="vmabak increment, unchanged"),
    Row("vmabak increment by a list of 1 %", f"{NEXT} --since-unchecked --changed disk=in.one.list -o out.vmab disk=in.one.raw",
        reads=["in.one.raw", "in.one.list", "in.c0.vmab.sums"], out=["out.vmab", "out.vmab.sums"], size="out.vmab"),
    Row("vmabak full backup of that", "$VMABAK backup -q --no-sync -o out.vmab disk=in.one.raw", reads=["in.one.raw"],
        out=["out.vmab"], size="out.vmab", against="vmabak increment by a list of 1 %"),
    Row("vmabak merge", "$VMABAK merge -q --no-sync in.c5.vmab -o out.vmab", reads=CHAIN_FILES, out=["out.vmab"],
        size="out.vmab"),
    Row("cat of the chain", f"cat {' '.join(CHAIN_FILES)} >out.cat", reads=CHAIN_FILES, out=["out.cat"],
        size="out.cat", against="vmabak merge"),
    Row("vmabak restore chain", "$VMABAK restore -q --no-sync in.c5.vmab -d disk=out.raw", reads=CHAIN_FILES,
        same=["in.c5.raw", "out.raw"]),
    Row("vmabak restore merged", "$VMABAK restore -q --no-sync in.merged.vmab -d disk=out.raw", reads=["in.merged.vmab"],
        same=["in.c5.raw", "out.raw"], against="vmabak restore chain"),
    Row("vmabak diff", "$VMABAK diff -q in.c0.vmab in.c5.vmab; [ $? = 4 ]", reads=["in.c0.vmab.sums", "in.c5.vmab.sums"]),
    Row("qemu-img compare", "qemu-img compare -f raw -F raw system.raw in.same.raw", reads=["system.raw", "in.same.raw"],
        needs=["qemu-img"], against="vmabak diff"),
    backup("in extents of 1M", "--no-sync"),
    backup("in extents of 4M", "--no-sync --extent-size 4M", against="vmabak backup in extents of 1M"),
    restore("extents of 1M", "--no-sync", "in.c0.vmab"),
    restore("extents of 4M", "--no-sync", "in.4m.vmab", against="vmabak restore extents of 1M"),
    Row("vmabak verify extents of 1M", "$VMABAK verify -q in.c0.vmab", reads=["in.c0.vmab"]),
    Row("vmabak verify extents of 4M", "$VMABAK verify -q in.4m.vmab", reads=["in.4m.vmab"],
        against="vmabak verify extents of 1M"),
], [("in.c0.vmab", f"cp --sparse=always system.raw in.c0.raw && {FULL}"), ("in.c0.vmab.sums", "false"),
    *[increment(n) for n in range(1, 6)], ("in.c5.vmab.sums", "false"),
    ("in.merged.vmab", "$VMABAK merge -q --no-sync in.c5.vmab -o in.merged.vmab"),
    ("in.one.raw", f"cp --sparse=always system.raw in.one.raw && /usr/bin/python3 {HERE}/inputs.py change in.one.raw 100 >in.one.list"),
    ("in.one.list", "false"), ("in.same.raw", "cp --sparse=always system.raw in.same.raw"),
    archive_of("in.4m.vmab", "--extent-size 4M"),
    ("in.chain.restic", "restic -q -r in.chain.restic --no-cache init && restic -q -r in.chain.restic --no-cache backup system.raw"),
    ("in.chain.borg", f"{BORG_INIT.format('in.chain.borg')} && {BORG.format('in.chain.borg')} create -C zstd,1 in.chain.borg::a "
     "system.raw")])

DEVICE = f"{HERE}/device.sh"


def device(name, server, file, how, options="", **more):
    return Row(name, f"{DEVICE} {server} {file} {how} {options}", reads=[file], out=[], needs=["nbdcopy", "fio", "qemu-nbd"],
               **more)


EXPORT = Group("export", "An archive as a device", "Read over NBD, beside a zstd qcow2 of the same image behind qemu-nbd; the "
               "start of the server counts. Random: 20000 reads of 4 KiB all over, 16 at a time.", [
    device("vmabak export, copied", "vmabak", "in.vmab", "copy"),
    device("qemu-nbd, copied", "qemu-nbd", "in.qcow2", "copy", against="vmabak export, copied"),
    device("vmabak export, random", "vmabak", "in.64k.vmab", "random"),
    device("qemu-nbd, random", "qemu-nbd", "in.qcow2", "random", against="vmabak export, random"),
    device("vmabak export, random, 256K", "vmabak", "in.256k.vmab", "random", slow=True),
    device("vmabak export, random, in extents of 1M", "vmabak", "in.vmab", "random", slow=True),
], [archive_of("in.vmab", ""), archive_of("in.64k.vmab", "--extent-size 64K"),
    archive_of("in.256k.vmab", "--extent-size 256K"),
    ("in.qcow2", "! command -v qemu-img || qemu-img convert -f raw -c -O qcow2 -o compression_type=zstd "
     "system.raw in.qcow2")])

GROUPS = [BACKUP, RESTORE, CHECK, HOLE, image_group("half", "Half random: 2 GiB, runs of random and constant blocks"),
          image_group("packed", "Compressed already: 1 GiB"), image_group("pages", "Pages of a database: 1 GiB"),
          LEVELS, COLD, LATENCY, CHAIN, EXPORT]

# Ours, the peer, and the most that the median of the ratios may be.
BARS = [
    ("vmabak backup zstd", "zstd -1 -T2", 0.72),
    ("vmabak backup zstd", "vma create to zstd -1 -T2", 0.45),
    ("vmabak backup none", "cp --sparse=always", 1.3),
    ("vmabak backup .vma", "cp --sparse=always", 1.3),
    ("vmabak restore zstd", "zstd -d --sparse", 0.55),
    ("vmabak restore zstd, synced", "zstd -dc to vma extract", 0.35),
    ("vmabak restore .vma, synced", "vma extract", 0.30),
    ("vmabak verify zstd", "zstd -t", 0.42),
    ("vmabak verify --quick", "cat archive", 1.5),
    ("vmabak backup zstd, hole", "vma create, hole", 0.01),
    ("vmabak restore zstd, hole", "vma create, hole", 0.01),
    ("vmabak increment, unchanged", "cat of the image", 1.5),
    ("vmabak increment, unchanged", "restic again", 0.1),
    ("vmabak increment, unchanged", "borg again", 0.1),
    ("vmabak increment by a list of 1 %", "vmabak full backup of that", 0.03),
    ("vmabak merge", "cat of the chain", 2.0),
    ("vmabak restore chain", "vmabak restore merged", 1.15),
    ("vmabak diff", "qemu-img compare", 0.02),
    ("vmabak backup in extents of 1M", "vmabak backup in extents of 4M", 1.03),
    ("vmabak restore extents of 1M", "vmabak restore extents of 4M", 1.03),
    ("vmabak verify extents of 1M", "vmabak verify extents of 4M", 1.03),
]
SAME_SIZE = ("vmabak backup zstd", "zstd -1 -T2")
