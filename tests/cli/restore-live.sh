# A live restore serves what the archive has at once, and ends with the new file. Whatever ends it before, the same command goes on: a stop,
# a crash of the host, an end between the last steps. What is not its own it refuses.
. "$(dirname "$0")/lib.sh"
need nbdcopy
need_python nbd

"$PYTHON" -c 'import random
rng = random.Random(4)
open("a.raw", "wb").write(rng.randbytes(3 << 20) + bytes(2 << 20) + rng.randbytes(777777))'
make_random b.raw 300000 2
"$VMABAK" backup -q -o a.vmab root=a.raw data=b.raw
"$VMABAK" backup -q -o other.vmab root=a.raw data=b.raw

# begin [OPTION]...
begin()
{
	"$VMABAK" restore a.vmab -d root=new.raw --live any --nbd unix:n.sock --control c.sock "$@" 2>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
}
begun()
{
	"$VMABAK" status c.sock >/dev/null 2>&1 && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}
# stop CODE
stop()
{
	wait_until "$VMABAK" stop c.sock 2>/dev/null
	ended_with "$1" $live
}
# guest STATEMENT...: of a client, h.
guest() { "$PYTHON" -c 'import nbd, sys
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
for statement in sys.argv[1:]:
    exec(statement)' "$@"; }
again() { expect_code "$1" timeout 60 "$VMABAK" restore "$2.vmab" -d root=new.raw --live any --nbd unix:m.sock; }

# Slow, so that nothing is there yet; what is written is.
begin --rate 1
guest 'h.pwrite(b"flushed" * 1000, 1000)' 'h.flush()' 'h.pwrite(b"not" * 30000, 4000000)'
cp a.raw want
"$PYTHON" -c 'f = open("want", "r+b")
f.seek(1000)
f.write(b"flushed" * 1000)'
cp want crashed
"$PYTHON" -c 'f = open("want", "r+b")
f.seek(4000000)
f.write(b"not" * 30000)'
nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
same_file want out.raw
# How much is there: what was written, and what was filled until now.
filled() { "$VMABAK" status --json c.sock >json; expect_json json "$1"; }
filled '5000 <= d["serve"]["drives"][0]["filled_bytes"] < d["serve"]["drives"][0]["size_bytes"]'
"$VMABAK" status c.sock >"$out"
expect_text "$out" '  restored: '
again 7 a
expect_text "$err" 'new.raw.live: another live restore is at work on it'
stop 1
expect_text live.err 'ended with ' 'the same command goes on'
again 2 other
expect_text "$err" 'new.raw.live: was left by a live restore of another archive or drive'
[ ! -e new.raw ] || fail "it has its name already"

# Killed, nothing is lost; the bits of what was not flushed count no more when the host has crashed. In the file
# there may be anything then.
begin --rate 1
guest 'h.pwrite(b"lost" * 30000, 4500000)'
kill -9 $live
wait $live 2>/dev/null || :
cp new.raw.live killed.live
"$PYTHON" - <<'PY'
f = open("new.raw.live", "r+b")
f.seek((5 << 20) + 777777 + 4095 & ~4095)
f.seek(4096, 1)
f.write(b"another boot....")
f.seek(4500000)
f.write(b"old" * 40000)
PY
begin --rate 1
nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
same_file want out.raw
stop 1
mv killed.live new.raw.live
"$PYTHON" -c 'f = open("want", "r+b")
f.seek(4500000)
f.write(b"lost" * 30000)'
begin
wait_until grep -q 'all is there' live.err
filled 'd["serve"]["drives"][0]["filled_bytes"] == d["serve"]["drives"][0]["size_bytes"]'
"$VMABAK" status c.sock >"$out"
expect_text "$out" '  restored: 100%'
rm json
nbdcopy 'nbd+unix:///root?socket=n.sock' out.raw
same_file want out.raw
expect_code 7 "$PYTHON" - <<'PY'
import nbd, os, subprocess, sys
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
h.pwrite(b"last", 5)
sys.exit(subprocess.run([os.environ["VMABAK"], "stop", "c.sock"]).returncode)
PY
"$PYTHON" -c 'f = open("want", "r+b")
f.seek(5)
f.write(b"last")'
stop 0
same_file want new.raw
nothing_but a.raw a.vmab b.raw crashed live.err new.raw other.vmab out.raw want
again 2 a
expect_text "$err" 'new.raw: exists already; a live restore makes a new file'

# What another user may have made is not filled.
mkdir -m 1777 shared
: >shared/new.raw.live
chmod 666 shared/new.raw.live
expect_error 2 'in a folder where others may make files' "$VMABAK" restore a.vmab -d root=shared/new.raw --live any --nbd unix:m.sock
[ "$(size_of shared/new.raw.live)" = 0 ] || fail "it was filled"
rm -r shared

# A file that was put in the place of what is filled does not become the target.
mv new.raw old.raw
begin
wait_until grep -q 'all is there' live.err
mv new.raw.live away.live
echo another >new.raw.live
stop 1
expect_text live.err 'new.raw.live: was removed or replaced'
! [ -e new.raw ] || fail "there is a target"
rm new.raw.live away.live

# A client that is there still when a signal comes can come back: the file keeps both names.
begin
wait_until grep -q 'all is there' live.err
"$PYTHON" - $live <<'PY'
import nbd, os, signal, sys
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
os.kill(int(sys.argv[1]), signal.SIGTERM)
try:
    while True:
        h.pread(512, 0)
except nbd.Error:
    pass
PY
ended_with 1 $live
expect_text live.err 'all is there, but clients use it still; the same command goes on'
begin
expect_text live.err 'goes on: '
guest 'h.pwrite(b"first", 0)'
wait_until grep -q 'all is there' live.err
stop 0
cp a.raw want
put want 0 first
same_file want new.raw

# An end between the last steps: the file has both names already, and perhaps its bits no more.
rm new.raw
begin --rate 1
stop 1
ln new.raw.live new.raw
begin
wait_until grep -q 'all is there' live.err
kill -9 $live
wait $live 2>/dev/null || :
truncate -s "$(size_of a.raw)" new.raw.live
begin
wait_until grep -q 'all is there' live.err
guest 'h.pwrite(b"first", 0)' 'h.flush()'
[ "$(size_of new.raw)" = "$(size_of a.raw)" ] || fail "it has grown"
stop 0
same_file want new.raw
[ ! -e new.raw.live ] || fail "it has its other name still"

# All drives, into a folder; JSON. When all is there is not told then, so it may take several runs.
code=1
for seconds in 0.2 1 5 30; do
	[ $code = 1 ] || continue
	"$VMABAK" restore a.vmab -C all --live any --nbd unix:n.sock --control c.sock --json >json 2>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
	sleep $seconds
	"$VMABAK" stop c.sock
	code=0
	wait $live || code=$?
done
[ $code = 0 ] || fail "code $code: $(cat live.err json)"
same_file a.raw all/root.raw
same_file b.raw all/data.raw
expect_json json "0 <= d['written_bytes'] <= 5 << 20" "[x['target'] for x in d['drives']] == ['all/root.raw', 'all/data.raw']" "d['archive'] == 'a.vmab'" "d['configs'] == []"

# What does not go together.
live() { expect_error 2 "$1" timeout 60 "$VMABAK" restore a.vmab --live any --nbd unix:m.sock $2; }
live 'does not go with --force' --force
live 'does not go with --force' --configs
live 'a live restore makes new files, raw' '-d root=new.qcow2,format=qcow2'
live 'a live restore makes new files, raw' '-d root=/dev/null'
live 'a live restore makes new files, raw' '-d root=-'
live 'a live restore makes new files, raw' '-d root=nbd://localhost/x'
live 'exists already; a live restore makes a new file' '-d root=a.raw'
expect_error 2 '--nbd is needed' timeout 60 "$VMABAK" restore a.vmab -d root=x --live any
[ ! -e x.live ] || fail "a file was made"
expect_error 2 'root.qcow2: a live restore makes new files, raw' timeout 60 "$VMABAK" restore a.vmab -d root=root.qcow2 --live any --nbd unix:m.sock
[ ! -e root.qcow2.live ] || fail "a file was made"
expect_error 2 'must be any, qemu:SOCKET or libvirt:DOMAIN' timeout 60 "$VMABAK" restore a.vmab -d root=x --live serve:web --nbd unix:m.sock
expect_error 2 'only with --live' timeout 60 "$VMABAK" restore a.vmab -d root=x --nbd unix:m.sock
