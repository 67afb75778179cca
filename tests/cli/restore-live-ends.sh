# A live restore ends by itself when all is there and its last client has gone, however short that one was there.
# long: waits until a client that has gone will not come back
. "$(dirname "$0")/lib.sh"
need_python nbd

make_random a.raw 3000001
"$VMABAK" backup -q -o a.vmab root=a.raw
"$VMABAK" restore -q a.vmab -d root=new.raw --live any --nbd unix:n.sock --control c.sock 2>live.err &
live=$!
on_exit "kill -9 $live 2>/dev/null"
wait_until [ -S n.sock ]
"$PYTHON" -c 'import nbd
h = nbd.NBD()
h.connect_uri("nbd+unix:///root?socket=n.sock")
h.pwrite(b"guest", 0)
h.shutdown()'
ended_with 0 $live
printf guest | dd of=a.raw conv=notrunc status=none
same_file a.raw new.raw
