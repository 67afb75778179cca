# What a monitoring system asks: is there a backup of each machine, of last night, and is it whole?
. "$(dirname "$0")/../cli/lib.sh"
need jq

# check_machine NAME: 0 fine, 2 not, as Nagios and its kin count; a line of text.
check_machine()
{
	newest=$(ls "$1"-[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].vmab 2>/dev/null | tail -n 1)
	[ -n "$newest" ] || { echo "$1: no archive"; return 2; }
	"$VMABAK" list --json "$newest" 2>/dev/null >listed || { echo "$newest: $(jq -r .error.message listed)"; return 2; }
	age=$(jq ".created_ns / 1000000000 | $(date +%s) - . | floor" listed)
	[ "$age" -lt 93600 ] || { echo "$newest: $((age / 3600)) hours old"; return 2; }
	echo "$newest: fine, $(jq '[.drives[].size_bytes] | add' listed) bytes"
}

make_random web.raw 3000000 1
expect_code 2 check_machine web
today=$(date +%F)
expect_code 0 "$VMABAK" backup -q -o "web-$today.vmab" root=web.raw
expect_code 0 check_machine web
SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup -q -o old-2023-11-14.vmab root=web.raw
expect_code 2 check_machine old
expect_text "$out" 'hours old'
head -c 2000000 "web-$today.vmab" >"cut-$today.vmab"
expect_code 2 check_machine cut
expect_text "$out" incomplete

# What a nightly run says to a program: how it ended, how much, and how far it is.
expect_code 0 sh -c '"$VMABAK" backup --json -o a.vmab root=web.raw --progress-fd 3 3>percents'
expect_json "$out" "d['exit_code'] == 0" "d['data_bytes'] >= 3000000" "d['warnings'] == []"
[ "$(tail -n 1 percents)" = 100/100 ] || fail "$(cat percents)"
expect_code 1 "$VMABAK" backup --json -o b.vmab root=missing.raw
expect_json "$out" "d['exit_code'] == 1" "'missing.raw' in d['error']['message']"
put a.vmab 1000000 'a bad sector'
expect_code 4 "$VMABAK" verify --json "web-$today.vmab" a.vmab
expect_json "$out" "[x['ok'] for x in d['archives']] == [True, False]" "d['archives'][1]['error']['code'] == 'damaged'"

# And a server of drives.
"$VMABAK" serve --control ctl.sock --nbd unix:nbd.sock root=web.raw 2>/dev/null &
on_exit "kill $! 2>/dev/null"
wait_until test -S ctl.sock
expect_code 0 "$VMABAK" status --json ctl.sock
expect_json "$out" "d['serve']['n_backups_failed'] == 0"
expect_code 0 "$VMABAK" stop ctl.sock
expect_code 1 "$VMABAK" status ctl.sock
