# A backup can begin the moment that another one has ended or was killed, also when serve has not noticed yet.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"

make_random a.raw 30000000 1
start_serve a=a.raw
for n in 1 2 3 4 5 6 7 8; do
	"$VMABAK" backup -q serve:control --rate 5M -o killed.vmab 2>/dev/null &
	backup=$!
	wait_until has_part . 1000
	kill -STOP $serve
	kill -9 $backup
	wait $backup 2>/dev/null || :
	"$VMABAK" backup -q serve:control --no-sync --force -o out.vmab 2>"$err" &
	backup=$!
	sleep 0.05
	kill -CONT $serve
	ended_with 0 $backup
	rm -f .*.part
done
for n in 1 2 3 4 5 6 7 8 9 10; do
	"$VMABAK" backup -q serve:control --compress none -o - >/dev/null || fail "backup $n"
done
expect_code 0 "$VMABAK" restore -q out.vmab -C back
same_file a.raw back/a.raw
stop_serve
