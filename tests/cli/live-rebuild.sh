# checkpoint rebuild of a serve that dependent writers go at: from a full made before, and after a server that was killed.
# The increments after it are each of one instant, and the last one is what was written.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

make_drives 20975104 12586496
backup()
{
	expect_code "$1" "$VMABAK" backup -q --no-sync serve:control --json -o "$2.vmab" --parent "$3.vmab"
	expect_json "$out" "[x['proof'] and x['proof']['list'] for x in d['drives']] == $4"
	expect_code 0 "$VMABAK" restore -q --no-sync --force "$2.vmab" -d A=A.out -d B=B.out
	ask_judge A.out B.out
}
# rebuild PARENT KNOWN: on a slow machine a drive may have been written to all over since PARENT, of which it warns.
rebuild()
{
	expect_code 0 warning_is_well "$VMABAK" checkpoint rebuild --json --parent "$1.vmab" serve:control --rate 40M
	expect_json "$out" "[x['known'] for x in d['drives']] == $2"
}

warning_is_well()
{
	lib_warned=0
	"$@" || lib_warned=$?
	[ $lib_warned = 3 ] || return $lib_warned
}

expect_code 0 "$VMABAK" backup -q -o 0.vmab A=A.raw B=B.raw
start_judge
start_serve --map A=A.map A=A.raw B=B.raw
start_writers --chains 4 --connections 2 --rate 300
rebuild 0 '[False, False]'
backup 0 1 0 "['right', 'right']"
backup 0 2 1 "['right', 'right']"
backup 0 3 0 "['right', 'right']"
kill -9 $serve
wait $serve 2>/dev/null || :
wait $writers 2>/dev/null || :
start_serve --map A=A.map A=A.raw B=B.raw
start_writers --chains 4 --connections 2 --rate 300 --resume
rebuild 3 '[True, False]'
backup 0 4 3 "['right', 'right']"
backup 0 5 4 "['right', 'right']"
stop_writers
backup 0 6 5 "['right', 'right']"
ask_judge A.raw B.raw
same_file A.raw A.out
same_file B.raw B.out
stop_serve
