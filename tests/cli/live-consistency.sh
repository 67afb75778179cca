# Six backups of two drives, one after the other, while dependent writers go at them as fast as they can: each is an
# instant, and the drives are in the end what was written.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

make_drives 20975104 12586496
start_serve A=A.raw B=B.raw
start_writers --chains 4 --connections 2
start_judge
live_backups 6
stop_writers
stop_serve
ask_judge A.raw B.raw
# The judge had something to do: the writers were not held up.
expect_json writers.out 'd["operations"] > 200'
[ "$(sed -n 's/^ok //p' answers | sort -nu | wc -l)" -ge 6 ] || fail "nothing was written: $(cat answers)"
