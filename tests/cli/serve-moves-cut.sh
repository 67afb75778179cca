# The link of a migration is cut after every record: the checkpoint is incomplete, what came is not sent again, the whole is dumped
# to a file; in the end all is there. And peers that answer nonsense.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

need nbdsh
checkpoint() { "$VMABAK" checkpoint "$@"; }
truncate -s 300M a.raw
start_serve a=a.raw
expect_code 0 live 0.vmab -q
guest a 'for i in range(0, 4800, 7): h.pwrite(b"x" * 512, i * 65536)
h.flush()'
cp --sparse=always a.raw there.raw
start_other a=there.raw
guest a 'h.pwrite(b"last", 0); h.flush()'
cp --sparse=always a.raw image
guest_there 'h.pwrite(b"last", 0)'
state()
{
	"$VMABAK" checkpoint list --json serve:d.sock | "$PYTHON" -S -c 'import json, sys
print(*[c["state"] for c in json.load(sys.stdin)["checkpoints"]])'
}
migrate() # COMMAND OPTION...
{
	lib_command=$1
	shift
	"$VMABAK" checkpoint migrate --chunk-size 64 serve:c.sock "exec:$lib_command" --json "$@" >"$out" 2>"$err"
}

expect_code 0 checkpoint export --chunk-size 64 -o all.ckpt serve:c.sock
ends=$("$PYTHON" -S -c 'import struct, sys
data, at = open("all.ckpt", "rb").read(), 16
while at < len(data):
    print(at, at + 20)
    at += 16 + struct.unpack_from("<I", data, at + 4)[0]')
[ "$(echo "$ends" | wc -l)" -ge 13 ] || fail "too few records: $ends"
# A link that lets so many bytes through, each at once.
cat >link.py <<'END'
import os, sys
left = int(sys.argv[1])
while left > 0:
    data = os.read(0, left)
    if not data:
        break
    os.write(1, data)
    left -= len(data)
END
# A receiver that is killed between a chunk and its bits has not said that nothing changed there.
cat >killed.py <<'END'
import json, socket, struct
data, drive = open("all.ckpt", "rb").read(), None
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect("c.sock")
def ask(**request):
    control.send(json.dumps(request).encode() + b"\n")
    return json.loads(control.recv(65536))
name = ask(execute="checkpoints", drive=0, **{"from": 0})["return"]["lines"][0]["name"]
line = ask(execute="map-outline", drive=0, name=name)["return"]
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect("d.sock")
print(line, ask(**dict(line, execute="map-begin", drive=0, chunk_bytes=64)))
control.send(json.dumps({"execute": "map-take", "drive": 0, "chunk": 0, "n": 1, "any": True}).encode() + b"\n")
control.close()
control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
control.connect("d.sock")
for i in range(300):
    told = ask(execute="map-has", drive=0, chunk=0)
    assert not told["return"]["has"], told
END
"$PYTHON" -S killed.py >killed || fail "nothing counted as a chunk: $(cat killed)"

for end in $ends; do
	rm -f dumped.ckpt
	if migrate "\"\$PYTHON\" -S link.py $end | \"\$VMABAK\" checkpoint receive --answers serve:d.sock 2>/dev/null" --dump dumped.ckpt; then
		# What came before need not come again, and with this much the rest has come.
		[ "$(state)" = good ] || fail "a link that was cut after $end bytes did not matter"
		break
	fi
	case $(state) in
	'' | incomplete) ;;
	good) [ "$end" -gt $(($(stat -c %s all.ckpt) - 70)) ] || fail "good after $end bytes" ;;
	*) fail "the state is $(state)" ;;
	esac
	[ "$(state)" = good ] || expect_json "$out" "'dumped.ckpt' in d['error']['message']"
done
expect_code 0 migrate '"$VMABAK" checkpoint receive --answers serve:d.sock'
expect_json "$out" "d['kept_chunks'] == d['n_chunks'] == 10" "d['changed_clusters'] == 686"
[ "$(state)" = good ] || fail "the state is $(state)"
expect_code 0 "$VMABAK" backup -q --json serve:d.sock -o 1.vmab --parent 0.vmab
expect_json "$out" "d['drives'][0]['proof']['listed_clusters'] == 686"
rm -rf back
expect_code 0 "$VMABAK" restore -q --parents . 1.vmab -C back
same_file image back/a.raw

# The command comes to its own end, and has to do so well.
expect_code 0 migrate '"$VMABAK" checkpoint receive --answers serve:d.sock && sleep 0.2 && touch ended'
[ -e ended ] || fail 'the command was ended'
expect_code 1 migrate '"$VMABAK" checkpoint receive --answers serve:d.sock; exit 3'
expect_json "$out" "'failed with exit code 3' in d['error']['message']"

# What was dumped is all of it.
name=$("$VMABAK" list --json 0.vmab | "$PYTHON" -S -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')
expect_code 0 checkpoint delete "$name" serve:d.sock --force
expect_code 1 migrate false --dump dumped.ckpt
expect_code 0 checkpoint import dumped.ckpt serve:d.sock
expect_code 0 "$VMABAK" backup -q --json serve:d.sock -o 2.vmab --parent 0.vmab
expect_json "$out" "d['drives'][0]['proof']['listed_clusters'] == 686"

# Answers that are none, of another order, and without an end.
for answers in true 'cat all.ckpt' 'head -c 16 all.ckpt' 'head -c 100000 /dev/zero' 'exec "$PYTHON" -S link.py 16; exec cat /dev/zero'; do
	if migrate "$answers"; then fail "this was taken for answers: $answers"; fi
done
