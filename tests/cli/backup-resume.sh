# What a backup with --resume leaves when it breaks off is taken up by the next one, and the archive is byte for byte the
# one of a run that was never broken: cut anywhere, damaged at its end, with any number of threads, in any format.
. "$(dirname "$0")/lib.sh"

"$PYTHON" - "$VMABAK" "${VMABAK_SEED:-1}" <<'END' || fail 'see above'
import json, os, random, subprocess, sys

vmabak, rng = sys.argv[1], random.Random(int(sys.argv[2]))
TIME = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
with open("d.raw", "wb") as file:
    for i in range(30):
        file.write(rng.randbytes(20000) + bytes(20000) + b"text " * 9000)


def run(*command, code=0, env=None):
    done = subprocess.run([vmabak, *command], capture_output=True, check=False, env=env)
    assert done.returncode == code, (command, done.returncode, done.stderr)
    return done


def read(path):
    with open(path, "rb") as file:
        return file.read()


def left(name, content):
    """What a run that broke off has left."""
    with open(f".{name}.resume.part", "wb") as file:
        file.write(content)


def resume(name, threads=2, *more):
    """Without the time of the first run."""
    done = run("backup", "--resume", "--json", "-o", name, "--threads", str(threads), *more, "d=d.raw", "-c", "n=d.conf")
    result = json.loads(done.stdout)
    content = read(name)
    os.unlink(name)
    assert not os.path.exists(f".{name}.resume.part")
    return content, result


with open("d.conf", "wb") as file:
    file.write(b"memory: 512\n")
for name in ("a.vmab", "a.vma", "a.vma.zst", "a.vma.gz"):
    run("backup", "-o", name, "d=d.raw", "-c", "n=d.conf", env=TIME)
    whole = read(name)
    os.unlink(name)
    cuts = {1, 511, 512, 4095, len(whole) - 1, len(whole) - 512, len(whole) - 513, len(whole)}
    cuts |= {rng.randrange(len(whole)) for _ in range(8 if name == "a.vmab" else 2)}
    n_taken_up = 0
    for cut in sorted(cuts):
        left(name, whole[:cut])
        content, result = resume(name, rng.choice((1, 2, 5)))
        if content != whole:
            assert result["kept_bytes"] == 0 and cut < 70000, (name, cut, result)
            continue
        assert result["kept_bytes"] == cut, (name, cut, result)
        n_taken_up += 1
    assert n_taken_up >= 4, (name, n_taken_up)
    left(name, whole + b"more")
    assert resume(name)[0] == whole

# Power that was cut leaves zeros, or something else, at the end; what is whole before it is taken up.
name = "a.vmab"
run("backup", "-o", name, "d=d.raw", "-c", "n=d.conf", env=TIME)
whole = read(name)
os.unlink(name)
for cut in (len(whole) // 2, len(whole) - 700, len(whole) - 100):
    for tail in (bytes(3000), rng.randbytes(3000)):
        left(name, whole[:cut] + tail)
        content, result = resume(name)
        assert content == whole, cut
        assert cut <= result["kept_bytes"] <= len(whole), (cut, result)
for _ in range(4):
    bad = bytearray(whole)
    at = rng.randrange(len(whole) // 3, len(whole))
    bad[at] ^= 1 << rng.randrange(8)
    left(name, bad[:at + rng.randrange(1, 5000)])
    content, result = resume(name)
    assert content == whole and result["kept_bytes"] == at, (at, result)

# What is no archive at all, or none of these drives, or made with other options, is no beginning of this one.
for junk in (b"no archive", rng.randbytes(100000)):
    left(name, junk)
    content, result = resume(name)
    assert content != whole and result["kept_bytes"] == 0
for other in (("--compress", "zstd:3"), ("--note", "other"), ("--extent-size", "64K")):
    left(name, whole[:-600])
    content, result = resume(name, 2, *other)
    assert result["kept_bytes"] == 0 and content[:64] != whole[:64], other
left(name, whole[:-600])
done = run("backup", "--resume", "-o", name, "--no-sync", "d=d.raw", "-c", "n=d.conf")
assert b"were there)" in done.stderr, done
assert read(name) == whole
os.unlink(name)

# A drive that changed in between: all of it is of now, and so is the archive's time.
left(name, whole[:-600])
with open("d.raw", "r+b") as file:
    file.seek(1500000)
    file.write(b"changed")
done = run("backup", "--resume", "-o", name, "d=d.raw", "-c", "n=d.conf")
assert b"begun anew" in done.stderr and b"from byte" in done.stderr, done
run("restore", name, "-d", "d=back")
assert read("back") == read("d.raw")
assert read(name)[:64] != whole[:64]
END
rm -f a.vmab back
nothing_but d.conf d.raw
