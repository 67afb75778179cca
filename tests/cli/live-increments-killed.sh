# A chain of increments of drives that dependent writers go at, while at random moments the backup or the server is killed:
# whatever happened, the next archive is an instant. VMABAK_ROUNDS=N: so many kills.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

make_drives 20975104 12586496
serve_and_write()
{
	start_serve --map A=A.map A=A.raw B=B.raw
	start_writers --chains 4 --connections 2 ${1:-}
}

# chained ARCHIVE [PARENT]: whose maps are lost is compared.
chained()
{
	lib_code=0
	"$VMABAK" backup -q --no-sync serve:control --json -o "$1" ${2:+--parent "$2"} >backup.json 2>"$err" || lib_code=$?
	[ $lib_code = 0 ] || [ $lib_code = 3 ] || fail "backup $1: $lib_code, $(cat "$err")"
	expect_code 0 "$VMABAK" restore -q --no-sync --force "$1" -d A=A.out -d B=B.out
	ask_judge A.out B.out
}

start_judge
serve_and_write
chained 0.vmab
last=0.vmab
round=0
while [ $round -lt "${VMABAK_ROUNDS:-4}" ]; do
	round=$((round + 1))
	"$VMABAK" backup -q --no-sync serve:control --rate 4M --compress none --parent $last -o killed.vmab 2>/dev/null >&2 &
	killed=$!
	sleep "0.$((round * 7919 % 40 + 1))"
	if [ $((round % 2)) = 0 ]; then
		kill -9 $serve
		wait $serve 2>/dev/null || :
		wait $writers 2>/dev/null || :
		wait $killed 2>/dev/null || :
		serve_and_write --resume
	else
		kill -9 $killed 2>/dev/null || :
		wait $killed 2>/dev/null || :
	fi
	rm -f .*.part killed.vmab*
	chained $round.vmab $last
	# The map of A is in a file, and knows all through each kill, unless the machine was so busy that a write reached the
	# drive half a second after its mark.
	grep -q 'A.map: drive-changed' serve.out serve.err ||
		expect_json backup.json "d['drives'][0]['proof']['list'] == 'right'"
	grep -h 'map A.map' serve.out serve.err
	last=$round.vmab
done
stop_writers
chained last.vmab $last
ask_judge A.raw B.raw
same_file A.raw A.out
same_file B.raw B.out
stop_serve
