# A client that makes a checkpoint and is stopped meanwhile (SIGSTOP) does not keep others from their backups, nor the server
# from its end.
. "$(dirname "$0")/lib.sh"
. "$CLI/serve.sh"

make_random a.raw 1000000 1
start_serve --map a=a.map a=a.raw
"$VMABAK" checkpoint create mine serve:c.sock --freeze-command 'touch freezing; while [ ! -e go ]; do sleep 0.1; done' \
	--freeze-timeout 60 --thaw-command 'touch thawed' 2>mine.err &
create=$!
on_exit "kill -9 $create 2>/dev/null"
wait_until [ -e freezing ]
kill -STOP $create
expect_code 0 live 0.vmab -q
kill -CONT $create
touch go
lib_code=0
wait $create || lib_code=$?
[ $lib_code = 1 ] || fail "the checkpoint ended with code $lib_code: $(cat mine.err)"
wait_until [ -e thawed ]
expect_code 0 "$VMABAK" checkpoint list serve:c.sock
expect_no_text "$out" mine
expect_code 0 "$VMABAK" checkpoint create mine serve:c.sock
restored_is 0.vmab a a.raw
stop_serve
