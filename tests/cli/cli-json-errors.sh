# With --json an error is one object too, and the line on standard error stays.
. "$(dirname "$0")/lib.sh"

truncate -s 1M drive.raw
# Exit code, word for it, then the arguments.
while read -r code word arguments; do
	eval "expect_code $code \"\$VMABAK\" $arguments"
	expect_json "$out" "d['exit_code'] == $code" "d['error']['code'] == '$word'" \
		"len(d['error']['message']) > 5" "'\n' not in d['error']['message']" \
		"d['warnings'] == []"
	grep -q '^vmabak: ' "$err" || fail "no line on standard error"
done <<'END'
2 usage --json
2 usage backup --json --frob -o a.vmab
2 usage backup --json -o a.vmab
2 usage backup --json -o a.img drive.raw
1 system backup --json -o a.vmab missing.raw
1 system backup --json -o missing/a.vmab drive.raw
1 system list --json missing.vmab
1 system restore --json missing.vmab
1 system config --json missing.vmab
1 system convert --json missing.vmab -o a.vmab
END
nothing_but drive.raw

# A command without --json does not answer in it.
expect_error 2 "unknown option '--json'" "$VMABAK" serve --json

# Where in the archive, when that is known.
head -c 1024 /dev/zero >zeros
expect_code 4 "$VMABAK" list --json zeros
expect_json "$out" "d['command'] == 'list'" "d['error']['code'] == 'damaged'" \
	"d['error']['byte'] == 0"
expect_code 4 "$VMABAK" verify --json zeros
expect_json "$out" "d['archives'][0]['ok'] is False" \
	"d['archives'][0]['error']['code'] == 'damaged'" "d['exit_code'] == 4"
