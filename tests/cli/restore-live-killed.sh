# The process of a live restore is killed at random moments, under a guest whose writes it has answered and not flushed: QEMU waits
# and sends again what was in flight, the same command goes on, every read is right, and so is the new disk in the end.
# VMABAK_ROUNDS=N: so many kills.
. "$(dirname "$0")/lib.sh"
need qemu-storage-daemon
need_python nbd

make_random a.raw 9000000 5
truncate -s 12000256 a.raw
"$VMABAK" backup -q -o a.vmab root=a.raw

# begin [RATE]
begin()
{
	"$VMABAK" restore a.vmab -d root=new.raw --live any --nbd unix:live.sock --control c.sock --rate "${1:-1M}" 2>>live.err &
	live=$!
	on_exit "kill -9 $live 2>/dev/null"
	wait_until begun
}
begun()
{
	"$PYTHON" -S -c 'import socket; socket.socket(socket.AF_UNIX).connect("live.sock")' 2>/dev/null && return
	kill -0 $live 2>/dev/null || fail "it has ended: $(cat live.err)"
	return 1
}

begin
qemu-storage-daemon --pidfile qsd.pid --nbd-server addr.type=unix,addr.path=n.sock --blockdev \
	driver=nbd,node-name=live,server.type=unix,server.path=live.sock,export=root,reconnect-delay=1000 \
	--export type=nbd,id=e,node-name=live,name=root,writable=on 2>qsd.err &
qsd=$!
on_exit "kill -9 $qsd 2>/dev/null"
wait_until [ -s qsd.pid ]

# The guest ends only when it is told, in the middle of what it does between two flushes.
"$PYTHON" "$CLI/overlay_guest.py" a.raw model 1000000 7 until-told 2>guest.err &
guest=$!
on_exit "kill -9 $guest 2>/dev/null"
round=0
while [ $round -lt "${VMABAK_ROUNDS:-3}" ]; do
	round=$((round + 1))
	sleep "0.$((round * 7919 % 500 + 100))"
	kill -9 $live
	wait $live 2>/dev/null || :
	kill -0 $guest 2>/dev/null || fail "round $round: $(cat guest.err live.err)"
	# The last one fills the rest.
	[ $round -lt "${VMABAK_ROUNDS:-3}" ] && begin || begin 0
done
touch told
ended_with 0 $guest
kill $qsd
wait $qsd || fail "the storage daemon: $(cat qsd.err)"
# It ends by itself when nobody has come back for a while; it is told to, once all is there.
wait_until grep -q 'all is there' live.err
wait_until "$VMABAK" stop c.sock
ended_with 0 $live
[ "$(grep -c ' bytes are there' live.err)" = "$round" ] || fail "it did not go on each time: $(cat live.err)"
"$PYTHON" -S - <<'PY' || fail "new.raw"
new, model = open("new.raw", "rb").read(), open("model", "rb").read()
bad = [i for i in range(0, len(model), 4096) if new[i:i + 4096] != model[i:i + 4096]]
assert len(new) == len(model) and bad in ([], [0]), bad  # to block 0 went what the model does not have
PY
[ ! -e new.raw.live ] || fail "new.raw.live is left"
