# salvage NEWEST PARENT...: what is left of each archive of a chain is put together. Nothing that a newer one held, and lost, is
# taken from an older one: what is called good is right, whatever was damaged, and exit code 0 is a promise.
. "$(dirname "$0")/lib.sh"

make_random d.raw 2500000 1
make_random b.raw 200000 2
make_random c.raw 150000 3
expect_code 0 "$VMABAK" backup -q --extent-size 256K -o 0.vmab d=d.raw b=b.raw c=c.raw
put d.raw 300000 one
dd if=/dev/zero of=d.raw bs=65536 seek=8 count=3 conv=notrunc status=none
truncate -s 2700000 d.raw
put b.raw 100000 one
expect_code 0 "$VMABAK" backup -q --extent-size 256K --parent 0.vmab -o 1.vmab d=d.raw b=b.raw
put d.raw 700000 two
put d.raw 1500000 two
truncate -s 150000 b.raw
expect_code 0 "$VMABAK" backup -q --extent-size 256K --parent 1.vmab -o 2.vmab d=d.raw b=b.raw c=c.raw
put d.raw 2000000 three
put c.raw 70000 three
expect_code 0 "$VMABAK" backup -q --extent-size 256K --parent 2.vmab -o 3.vmab d=d.raw b=b.raw c=c.raw

# Whole, in any order.
expect_code 0 "$VMABAK" salvage 3.vmab 0.vmab 2.vmab 1.vmab -C all
expect_text "$out" 'nothing lost'
for drive in d b c; do same_file all/$drive.raw $drive.raw; done
expect_code 0 "$VMABAK" salvage --json 3.vmab 2.vmab 1.vmab 0.vmab -d b=some.raw
same_file some.raw b.raw
expect_json "$out" 'd["chain_complete"] and not d["may_be_out_of_date"]' '[p["used"] for p in d["parents"]] == [True] * 3'

# A parent that is not there: what is older may be out of date.
expect_code 5 "$VMABAK" salvage --json 3.vmab 2.vmab 0.vmab -C gap
expect_json "$out" 'd["may_be_out_of_date"] and not d["chain_complete"]' 'd["parents"][1]["after_gap"]' \
	'd["drives"][0]["unverified_bytes"] > 0' 'd["drives"][0]["good_bytes"] > 0'
expect_code 5 "$VMABAK" salvage 3.vmab 2.vmab 0.vmab -C gap2
expect_text "$out" 'recovered, but may be out of date'
expect_text "$err" '0.vmab: is not the parent of the one before' 'not all parents down to a full archive are there'
expect_code 5 "$VMABAK" salvage 3.vmab 2.vmab -C short
expect_text "$out" 'in none of these archives, or lost'

# A donor fills what is lost, but only with what its checksum proves.
cp 0.vmab good.vmab
flip 0.vmab 200000
expect_code 5 "$VMABAK" salvage --json 3.vmab 2.vmab 1.vmab 0.vmab -C lossy
expect_json "$out" 'sum(one["lost_bytes"] for one in d["drives"]) > 0' 'd["parents"][2]["damaged_sections"] == 1'
expect_code 0 "$VMABAK" salvage 3.vmab 2.vmab 1.vmab 0.vmab --donor d=d.raw -C donated
same_file donated/d.raw d.raw
mv good.vmab 0.vmab

# A parent that was cut off, so that nothing tells how many sections it had.
size=$(stat -c %s 1.vmab)
head -c $((size - 2048)) 1.vmab >cut.vmab
expect_code 5 "$VMABAK" salvage 3.vmab 2.vmab cut.vmab 0.vmab -C cut
expect_text "$err" 'cut.vmab: its end is missing; '
expect_no_text "$err" 'of its 0 sections'

expect_error 2 'is a full one' "$VMABAK" salvage 0.vmab 1.vmab -C x
expect_error 2 'is no parent' "$VMABAK" salvage 2.vmab 1.vmab 0.vmab 3.vmab -C x
expect_error 2 'from a file' sh -c '"$VMABAK" salvage 2.vmab - -C x <1.vmab'
cp 1.vmab copy.vmab
expect_error 2 'is no parent' "$VMABAK" salvage 2.vmab 1.vmab copy.vmab 0.vmab -C x
[ ! -e x ] || fail 'something was made'

# Any damage of any of them.
cat >damage.py <<'END'
import json, os, random, shutil, subprocess, sys
vmabak, rounds, random_ = sys.argv[1], int(sys.argv[2]), random.Random(7)
whole = {name: open(name + ".raw", "rb").read() for name in "dbc"}
seen = {0: 0, 5: 0}
for number in range(rounds):
    names = [f"x{n}.vmab" for n in (3, 2, 1, 0)]
    for n, name in zip((3, 2, 1, 0), names):
        data = bytearray(open(f"{n}.vmab", "rb").read())
        for _ in range(random_.choice((0, 0, 1, 1, 2))):
            kind, at = random_.randrange(5), random_.randrange(len(data))
            if kind == 0:
                del data[at:]
            elif kind == 1:
                data[at:at + 700] = bytes(len(data[at:at + 700]))
            elif kind == 2:  # all but the end is gone from here on, the index too
                data[at:-2048] = bytes(len(data[at:-2048]))
            else:
                data[at] ^= 1
            if len(data) < 1000:
                break
        open(name, "wb").write(data)
    if random_.randrange(5) == 0:
        names.pop(random_.randrange(1, 4))
    shutil.rmtree("out", ignore_errors=True)
    shutil.rmtree("maps", ignore_errors=True)
    done = subprocess.run([vmabak, "salvage", "--json", "--no-sync", *names, "-C", "out", "--map", "maps"], capture_output=True, check=False)
    if done.returncode in (2, 4) and not os.path.exists("out"):
        continue  # a head that cannot be read
    assert done.returncode in (0, 5), (number, done.returncode, done.stderr)
    if "size is unknown" in done.stdout.decode() or json.loads(done.stdout)["head"] == "lost":
        continue
    seen[done.returncode] += 1
    for name, wanted in whole.items():
        if not os.path.exists(f"out/{name}.raw"):
            continue
        got = open(f"out/{name}.raw", "rb").read()
        assert len(got) == len(wanted), (number, name)
        assert done.returncode == 5 or got == wanted, (number, name, "exit code 0")
        for line in open(f"maps/{name}.raw.map"):
            words = line.split()
            if line[0] != "#" and len(words) == 3 and words[2] in "+?-" and words[1] != "+":
                at, size = int(words[0], 0), int(words[1], 0)
                if words[2] == "+":
                    assert got[at:at + size] == wanted[at:at + size], (number, name, line)
assert seen[0] > 0 and seen[5] > 5, seen
END
"$PYTHON" damage.py "$VMABAK" 40 || fail 'see above'
