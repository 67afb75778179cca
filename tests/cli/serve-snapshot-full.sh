# A snapshot whose scratch file finds no room: it ends and says so, its readers get errors and no data of another instant, and
# the guest goes on.
. "$(dirname "$0")/lib.sh"
begin_in_private_mounts
. "$CLI/serve.sh"
. "$CLI/snapshot.sh"

need nbdsh
mkdir small
mount -t tmpfs -o size=1m none small || skip "may not mount a tmpfs here"
on_exit "umount small"
make_random a.raw 8000000 1
cp a.raw a.then
start_serve a=a.raw
snapshot_of "$VMABAK" snapshot serve:c.sock --scratch small
"$PYTHON" -c 'import nbd, os, signal, sys
h, guest = nbd.NBD(), nbd.NBD()
h.connect_uri("nbd+unix:///a?socket=s.sock")
guest.connect_uri("nbd+unix:///a?socket=n.sock")
then = open("a.then", "rb").read()
guest.pwrite(b"x" * 4000000, 0)
guest.flush()
wrong, failed = 0, 0
for at in range(0, 8000000, 50000):
    try:
        wrong += h.pread(50000, at) != then[at:at + 50000]
    except nbd.Error:
        failed += 1
print(wrong, failed)
sys.exit(wrong > 0 or failed == 0)' >said || fail "the reader: $(cat said)"
ended_with 6 $snapshot
expect_text snapshot.err 'the scratch file: No space left'
wait_until no_backup
guest a 'h.pwrite(b"y" * 4000000, 4000000); h.flush()'
expect_code 0 live 0.vmab -q
restored_is 0.vmab a a.raw
stop_serve
