# The NBD server with clients of other makers: what they read and write is what is in the file.
. "$(dirname "$0")/lib.sh"
. "$CLI/peers.sh"
need nbdinfo nbdcopy nbdsh qemu-img qemu-io

make_random a.raw 3000001
truncate -s 20000001 a.raw
make_random b.raw 200000 2
serve_ours s a.raw b.raw
uri=$(nbd_uri s a.raw)

# Told: two exports, sizes, holes, bitmaps.
nbdinfo --list --json "$(nbd_uri s)" >list.json
expect_json list.json '[e["export-name"] for e in d["exports"]] == ["a.raw", "b.raw"]' \
	'd["exports"][0]["export-size"] == 20000001' 'd["exports"][0]["can_multi_conn"]' \
	'd["exports"][0]["block_size_maximum"] == 33554432' \
	'"qemu:dirty-bitmap:odd" in d["exports"][1]["contexts"]'
nbdinfo --map --json "$uri" >map.json
expect_json map.json 'sum(e["length"] for e in d) == 20000001' 'd[-1]["type"] == 3' 'd[0]["type"] == 0' \
	'all(x["type"] != y["type"] for x, y in zip(d, d[1:]))'
nbdinfo --map=qemu:dirty-bitmap:odd --json "$uri" >map.json
expect_json map.json 'len(d) == 306' 'd[1] == dict(d[1], offset=65536, length=65536, type=1)'

# Read: over several connections, over one, by parts, without structured replies.
nbdcopy "$uri" copy1.raw
cmp a.raw copy1.raw
nbdcopy --connections=1 --requests=3 --request-size=65536 "$uri" copy2.raw
cmp a.raw copy2.raw
nbdcopy --synchronous "$uri" copy3.raw
cmp a.raw copy3.raw
qemu-img convert -O raw "nbd:unix:$TMPDIR/s:exportname=a.raw" copy4.raw
truncate -s 20000001 copy4.raw # qemu deals in sectors
cmp a.raw copy4.raw
cat >simple.py <<'END'
import nbd, sys
h = nbd.NBD()
h.set_request_structured_replies(False)
h.connect_uri(sys.argv[1])
with open("a.raw", "rb") as file:
    assert h.pread(20000001, 0) == file.read()
    file.seek(4095)
    assert h.pread(3, 4095) == file.read(3)
END
"$PYTHON" simple.py "$uri"

# Written.
make_random new.raw 20000001 3
nbdcopy new.raw "$uri"
cmp new.raw a.raw
qemu-io -f raw "$uri" -c 'write -P 5 4096 300000' -c 'write -z 1M 1M' -c 'discard 4M 1M' \
	-c 'write -f -P 7 8M 5M' -c flush -c 'read -P 5 4096 300000' -c 'read -P 0 1M 1M' \
	-c 'read -P 7 8M 5M' >io.txt
! grep -qi fail io.txt || fail "$(cat io.txt)"
"$PYTHON" -c 'f = open("a.raw", "rb"); f.seek(8 << 20); assert f.read(5 << 20) == b"\7" * (5 << 20)'

# Killed in the middle: only its own connection ends.
for i in 1 2 3 4 5 6; do
	timeout -s KILL 0.0$i nbdcopy "$uri" null: 2>/dev/null || true
done
nbdinfo --size "$uri" >size.txt
expect_text size.txt 20000001

kill -TERM $server
wait $server || fail "the server ended with $?"
[ ! -e "$TMPDIR/s" ] || fail "the socket is still there"
