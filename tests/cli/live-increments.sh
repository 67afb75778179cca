# A chain of increments of two drives that dependent writers go at: full, increments, failures and kills of the client
# and of the server between them. Each archive restores to an instant, and the last one to what was written.
. "$(dirname "$0")/lib.sh"
. "$SRC/tests/live/lib.sh"
need_live_tools

make_drives 20975104 12586496
backup()
{
	expect_code "$1" "$VMABAK" backup -q --no-sync serve:control --json -o "$2" ${3:+--parent "$3"}
	cp "$out" backup.json
	[ -z "${3:-}" ] || [ "$1" = 3 ] ||
		expect_json "$out" "[x['proof']['list'] for x in d['drives']] == ['right', 'right']"
	expect_code 0 "$VMABAK" restore -q --no-sync --force "$2" -d A=A.out -d B=B.out
	ask_judge A.out B.out
}

serve_and_write()
{
	start_serve --map A=A.map A=A.raw B=B.raw
	start_writers --chains 4 --connections 2 ${1:-}
}

start_judge
serve_and_write
backup 0 0.vmab
backup 0 1.vmab 0.vmab
# The one that fails comes between two others.
"$VMABAK" backup -q --no-sync serve:control --rate 1M --compress none --parent 1.vmab -o failed.vmab 2>/dev/null &
failing=$!
wait_until has_part . 1
kill -9 $failing
wait $failing 2>/dev/null || :
rm -f .*.part
backup 0 2.vmab 1.vmab
backup 0 3.vmab 0.vmab
backup 0 4.vmab 3.vmab
# The map of A is in a file, and survives.
kill -9 $serve
wait $serve 2>/dev/null || :
wait $writers 2>/dev/null || :
serve_and_write --resume
backup 3 5.vmab 4.vmab
expect_json backup.json "[x['proof'] and x['proof']['list'] for x in d['drives']] == ['right', None]"
backup 0 6.vmab 5.vmab
stop_writers
backup 0 7.vmab 6.vmab
ask_judge A.raw B.raw
same_file A.raw A.out
same_file B.raw B.out
expect_json writers.out 'd["operations"] > 200'
stop_serve
# Merged, it shows the instant that the chain shows.
expect_code 0 "$VMABAK" merge -q 4.vmab -o merged.vmab
expect_code 0 "$VMABAK" restore -q 4.vmab -C chain
expect_code 0 "$VMABAK" restore -q merged.vmab -C merged
same_file chain/A.raw merged/A.raw
same_file chain/B.raw merged/B.raw
