# Dependent writers go at two drives while they are mirrored, the mirror is aborted and begins again, and the writers are led to
# the targets and back: at each of these moments both sides are what one instant looks like, and in the end the same.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

make_drives 20975104 12586496
mirror() { "$VMABAK" mirror "$@"; }
targets() { expect_code 0 mirror start serve:control -d A="$1" -d B="$2" --state s.json; }
# Where the machine is busy it may be said meanwhile that the writers are too fast.
in_sync() { mirror wait serve:control -q 2>"$err" || [ $? = 3 ] || fail "wait: $(cat "$err")"; }
# What the targets have is in the state, whether or not that of now can be noted in time at an abort.
noted() { ! grep -q '"n_clusters":0' s.json; }
# Where the machine is busy for long it takes more than one pivot, and that is no fault.
pivot() { mirror pivot serve:control -q 2>"$err" || { grep -q 'guest goes on at its drive\|is not in sync\|not get there in time' "$err" || fail "pivot: $(cat "$err")"; false; }; }
start_judge
start_serve --map A=A.map --map B=B.map A=A.raw B=B.raw
start_writers --chains 4 --connections 2 --rate 2000
targets A.new B.new
in_sync
wait_until noted
expect_code 0 mirror abort serve:control
targets A.new B.new
in_sync
wait_until pivot
ask_judge A.raw B.raw
expect_code 0 "$VMABAK" backup -q --no-sync serve:control -o x.vmab
expect_code 0 "$VMABAK" restore -q --no-sync --force x.vmab -d A=A.out -d B=B.out
ask_judge A.out B.out
targets "$PWD/A.raw" "$PWD/B.raw"
in_sync
wait_until pivot
ask_judge A.new B.new
stop_writers
ask_judge A.raw B.raw
targets A.new B.new
in_sync
stop_serve
same_file A.raw A.new
same_file B.raw B.new
