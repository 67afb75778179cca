# Power cuts at moments of chance, while a guest writes and backups are made: what is on the disk then is made of a journal of what serve has
# written and waited for. In each case the map names all that differs from each archive that was complete, and from what a mirror is said to
# have. VMABAK_CUTS=N: so many.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
: "${LIVE_TOOLS:=$SRC/build/release}"
for program in journal.so cut; do
	[ -e "$LIVE_TOOLS/$program" ] || fail "no $LIVE_TOOLS/$program: run make live-tools"
done
size=$((40 << 20))
truncate -s $size a.raw
: >a.map
: >journal
real=$VMABAK
cat >journaled <<END
#!/bin/sh
[ "\$1" = serve ] || exec "$real" "\$@"
export JOURNAL="$PWD/journal" JOURNAL_DRIVE="$PWD/a.raw" JOURNAL_MAP="$PWD/a.map" LD_PRELOAD="$LIVE_TOOLS/journal.so"
exec "$real" "\$@"
END
chmod +x journaled
VMABAK=$PWD/journaled
start_serve --map a.map a=a.raw
VMABAK=$real
# The guest writes all the time, here and there; backups are told to the journal when they are complete.
cat >guest.py <<'END'
import json, nbd, os, random, struct, subprocess, sys, threading, time
vmabak, size, n_archives = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
over = False
def note(text):
    with open("journal", "ab", buffering=0) as journal:
        journal.write(struct.pack("<IIQQ", 8, 0, 0, len(text)) + text)
def write(seed):
    r = random.Random(seed)
    h = nbd.NBD()
    h.connect_uri("nbd+unix:///a?socket=n.sock")
    while not over:
        base = r.randrange(size - (4 << 20))
        for _ in range(r.randrange(1, 12)):
            n = r.choice([512, 4096, 70144])
            at = (base + r.randrange((4 << 20) - n)) // 512 * 512
            k = r.randrange(12)
            if k == 0: h.zero(n, at)
            elif k == 1: h.pwrite(r.randbytes(n), at, nbd.CMD_FLAG_FUA)
            else: h.pwrite(r.randbytes(n), at)
        if r.randrange(8) == 0: h.flush()
        time.sleep(0.01)
    h.shutdown()
threads = [threading.Thread(target=write, args=(seed,)) for seed in range(2)]
for t in threads: t.start()
try:
    for i in range(n_archives):
        now = json.loads(subprocess.check_output([vmabak, "status", "--json", "c.sock"]))["serve"]["drives"][0]["map"]
        subprocess.check_call([vmabak, "backup", "-q", "--no-sync", "serve:c.sock", "-o", f"{i}.vmab"])
        note(b"map:%s:%d %d.img" % (now["id"].encode(), now["generation"], i))
        time.sleep(0.15)
    def mirror(*words):
        subprocess.check_call([vmabak, "mirror", words[0], "serve:c.sock", *words[1:]], stdout=subprocess.DEVNULL)
    def told():
        with open("s.json") as file:
            return json.load(file)["drives"][0]
    mirror("start", "-d", "a=mirror.img", "--state", "s.json")
    while told()["n_clusters"] * 65536 != size: time.sleep(0.1)
    mirror("abort")
    note(b"map:%s:%d mirror.img" % (told()["map"].encode(), told()["generation"]))
    time.sleep(0.3)
finally:
    over = True
    for t in threads: t.join()
END
"$PYTHON" guest.py "$real" $size "${VMABAK_ARCHIVES:-4}" || fail "the guest failed: $(cat serve.err)"
kill_serve
for archive in *.vmab; do
	expect_code 0 "$real" restore -q --no-sync "$archive" -d "a=${archive%.vmab}.img"
done
for what in '' drop-flushes; do
	"$LIVE_TOOLS/cut" journal $size "${VMABAK_CUTS:-20}" "${VMABAK_SEED:-1}" $what >cuts || fail "$(cat cuts)"
	cat cuts
done
# It would see what a log or a drive that is not waited for takes away, in one of some tries.
for what in drop-log drop-drive; do
	seen=no
	for seed in 1 2 3 4 5 6 7 8 9 10; do
		[ $seen = yes ] || "$LIVE_TOOLS/cut" journal $size 60 $seed $what >cuts || seen=yes
	done
	[ $seen = yes ] || fail "$what is not seen: $(cat cuts)"
	tail -n 1 cuts
done
true
