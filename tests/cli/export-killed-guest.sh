# An export is killed VMABAK_KILLS times (3) under a Linux machine that reads it past its cache, and started again. A drive that waits for it has
# right reads alone; one that does not has right reads or errors, never other bytes.
# long: a machine is booted, without KVM
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/guest/guest.sh"
need_machine

begin_initrd
begin_init
# Each chunk is told with its sum, or as an error; the buffer had other bytes before.
cat >>"$lib_root/init" <<'END_INIT'
while [ ! -b /dev/vdb ]; do busybox sleep 0.1; done
reader()
{
	at=$2
	while :; do
		at=$(((at * 5 + 3) % 256))
		if busybox dd if=/dev/$1 of=/$1.chunk bs=64k skip=$at count=1 iflag=direct 2>/dev/null; then
			set -- $1 $(busybox md5sum /$1.chunk)
			echo "guest: $1 $at $2 end"
		else
			echo "guest: $1 $at error end"
		fi
	done
}
reader vdb 7 &
reader vda 1
END_INIT
add_modules virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk
pack_initrd | gzip -1 >initrd.gz

make_random a.raw 16777216 4
"$VMABAK" backup -q -o a.vmab root=a.raw
put a.raw 3000000 changed
"$VMABAK" backup -q --parent a.vmab -o b.vmab root=a.raw
cat >judge.py <<'END'
import hashlib, os, random, re, signal, subprocess, sys, time
program, kernel, cmdline, accel, kills = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5])
rng = random.Random(int(sys.argv[6]))
truth = open("a.raw", "rb").read()
sums = [hashlib.md5(truth[at:at + 65536]).hexdigest() for at in range(0, len(truth), 65536)]

def start():
    return subprocess.Popen([program, "export", "-q", "b.vmab", "--nbd", "unix:n.sock"])

def look():
    """How many right reads and errors each drive had; ends where one was wrong."""
    right, errors = {"vda": 0, "vdb": 0}, {"vda": 0, "vdb": 0}
    text = open("console", errors="replace").read() if os.path.exists("console") else ""
    for drive, at, found in re.findall(r"guest: (vd[ab]) (\d+) ([0-9a-f]{32}|error) end", text):
        if found == "error":
            errors[drive] += 1
        elif found == sums[int(at)]:
            right[drive] += 1
        else:
            sys.exit(f"{drive}: chunk {at} is wrong: {found}, after {right} right ones and {errors} errors")
    if errors["vda"]:
        sys.exit("an error of the drive that waits")
    return right, errors

def until(what, condition):
    end = time.monotonic() + 400
    while not condition():
        if time.monotonic() > end or qemu and qemu.poll() is not None:
            sys.exit(f"{what}: {open('console', errors='replace').read()[-2000:]}")
        time.sleep(0.05)

qemu, export = None, start()
until("no export", lambda: os.path.exists("n.sock"))
node = "driver=nbd,server.type=unix,server.path=n.sock,export=root,read-only=on,node-name="
try:
    qemu = subprocess.Popen(["qemu-system-x86_64", "-accel", accel, "-m", "192", "-nodefaults", "-no-user-config", "-display", "none", "-serial",
        "file:console", "-kernel", kernel, "-initrd", "initrd.gz", "-append", cmdline, "-no-reboot",
        "-blockdev", node + "waits,reconnect-delay=1000", "-device", "virtio-blk-pci,drive=waits",
        "-blockdev", node + "fails", "-device", "virtio-blk-pci,drive=fails,rerror=report"])
    until("no reads", lambda: min(look()[0].values()) > 3)
    for n in range(kills):
        time.sleep(rng.random() * 0.3)
        export.send_signal(signal.SIGKILL)
        export.wait()
        time.sleep(rng.random() * 0.5)
        before = look()[0]["vda"]
        export = start()
        # What was read before the kill may be told after it.
        until("it does not read again", lambda: look()[0]["vda"] > before + 2)
    before = look()[0]["vdb"]
    until("no reads of the other one in the end", lambda: look()[0]["vdb"] > before + 2)
    right, errors = look()
finally:
    if qemu:
        qemu.kill()
    export.kill()
print(f"{kills} kills, {sum(right.values())} right reads, {errors['vdb']} errors where nothing waits")
END
"$PYTHON" judge.py "$VMABAK" "$lib_kernel" "$lib_cmdline" "${GUEST_ACCEL:-tcg}" "${VMABAK_KILLS:-3}" "${VMABAK_SEED:-1}" || fail "the guest"
