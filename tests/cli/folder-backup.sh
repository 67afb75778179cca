# backup --to: names by time, a chain that begins anew by --full-every, the sums of each archive beside it; every instant
# restores. What is not meant for it is refused, and a name leads nowhere else.
. "$(dirname "$0")/lib.sh"

make_random web.raw 1000000 1
mkdir d
# back_up [OPTION]...
back_up()
{
	expect_code 0 "$VMABAK" backup --json --to d --name web "$@" root=web.raw
	cp "$out" said
	archive=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["archive"])' said)
	[ -e "$archive.sums" ] || fail "no sums of $archive"
	expect_code 0 "$VMABAK" sums -q "$archive" -o made.sums
	same_file made.sums "$archive.sums"
	rm made.sums
	cp web.raw "$(basename "$archive" .vmab)"
}
for n in 1 2 3 4 5 6 7; do
	put web.raw $((n * 100000)) "change $n"
	back_up --full-every 3
	case $n in
	1 | 4 | 7) expect_json said 'd["parent_uuid"] is None' ;;
	*) expect_json said "d['parent_uuid'] == '$uuid'" "d['data_clusters'] == 1" ;;
	esac
	uuid=$("$PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["uuid"])' said)
done
[ "$(ls -A d | grep -cxE 'web-2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z\.vmab')" = 7 ] || fail "$(ls -A d)"
[ "$(ls -A d | wc -l)" = 14 ] || fail "$(ls -A d)"
for archive in d/*.vmab; do
	expect_code 0 "$VMABAK" restore -q --force "$archive" -C back
	same_file back/root.raw "$(basename "$archive" .vmab)"
done
rm -r back web-*

# Two machines side by side, one whose name begins like the other's; files that do not belong.
echo hello >d/README
mkdir d/sub d/web-2030-01-01T000000Z.vmab.d
head -c 5000 /dev/zero >d/zeros.raw
expect_code 0 "$VMABAK" backup --json --to d --name web-db root=web.raw
expect_json "$out" 'd["parent_uuid"] is None' 'd["archive"].startswith("d/web-db-2")'
expect_code 0 "$VMABAK" backup --json --to d --name web root=web.raw
expect_json "$out" "d['parent_uuid'] == '$uuid'" 'd["data_clusters"] == 0'
expect_code 0 "$VMABAK" list d
expect_text "$out" 'machine web: 8 archives in 3 chains' 'machine web-db: 1 archive in 1 chain'
expect_no_text "$out" README zeros other
expect_code 0 "$VMABAK" list --json d
expect_json "$out" 'd["n_others"] == 4' '[m["machine"] for m in d["machines"]] == ["web", "web-db"]' \
	'all(a["state"] == "whole" and a["sums"] for m in d["machines"] for a in m["archives"])'

# Without sums, and with those of another archive or damaged ones, the archives themselves are read.
last=$(ls d/web-2*.vmab | tail -n 1)
for how in rm 'flip "$last.sums" 5000' 'cp "$(ls d/web-db-2*.sums)" "$last.sums"'; do
	[ "$how" != rm ] || { rm "$last.sums"; how=:; }
	eval "$how"
	back_up
	expect_json said 'd["parent_uuid"] is not None' 'd["data_clusters"] == 0'
	last=$archive
done
back_up --full-every 0
expect_json said 'd["parent_uuid"] is not None'
back_up --full-every 1
expect_json said 'd["parent_uuid"] is None'

# Nothing is left of what is refused or fails.
mkdir e
for name in '' ../x a/b .hidden -x 'a b' "$(printf 'a\nb')" "$(printf 'a%.0s' $(seq 201))"; do
	expect_error 2 "--name" "$VMABAK" backup --to e "--name=$name" root=web.raw
done
for text in '' x 3x 0w 4m 12345678 -1 '1 d'; do
	expect_error 2 "--full-every '$text'" "$VMABAK" backup --to e --name web "--full-every=$text" root=web.raw
done
expect_error 2 'needs --name' "$VMABAK" backup --to e root=web.raw
expect_error 2 '--name needs --to' "$VMABAK" backup -o x.vmab --name web root=web.raw
expect_error 2 'or --to DIR' "$VMABAK" backup root=web.raw
for other in '-o x.vmab' '--parent x.vmab' '--sums x' '--changed root=x' --dedup --force '--format vma'; do
	# shellcheck disable=SC2086 # two words
	expect_error 2 'exclude each other' "$VMABAK" backup --to e --name web $other root=web.raw
done
expect_error 2 'with -o e/NAME-YYYY-MM-DDTHHMMSSZ.vmab, and --parent for an increment' "$VMABAK" backup --to e/ --resume --name web root=web.raw
expect_error 1 'nowhere: is no folder' "$VMABAK" backup --to nowhere --name web root=web.raw
expect_error 1 'web.raw: is no folder' "$VMABAK" backup --to web.raw --name web root=web.raw
expect_code 1 "$VMABAK" backup --to e --name web root=missing.raw
expect_error 2 'nothing to back up' "$VMABAK" backup --to e --name web
[ -z "$(ls -A e)" ] || fail "left: $(ls -A e)"
long=$(printf 'a%.0s' $(seq 200))
expect_code 0 "$VMABAK" backup --to e --name "$long" root=web.raw
expect_code 0 "$VMABAK" backup --to e --name "$long" --no-sums root=web.raw
[ "$(ls -A e | wc -l)" = 3 ] || fail "$(ls -A e)"

# With --resume the user names the archive, and it belongs to the chain all the same.
rm -rf e
mkdir e
expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup -q --to e --name web root=web.raw
expect_code 0 "$VMABAK" backup -q --resume -o e/web-2023-11-15T000000Z.vmab --parent e/web-2023-11-14T221320Z.vmab root=web.raw
expect_code 0 env SOURCE_DATE_EPOCH=1700300000 "$VMABAK" backup -q --to e --name web root=web.raw
expect_code 0 "$VMABAK" list e/
expect_text "$out" 'machine web: 3 archives in 1 chain'
