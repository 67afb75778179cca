# s3://BUCKET/PREFIX: chains of archives in an object store, as in a folder.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"
store small 'gone@HEAD /backups/elsewhere/gone-2023-11-14T221320Z.vmab$+4'

make_random root.raw 2000000 1
change()
{
	printf "change $1" | dd of=root.raw bs=1 seek=$(($1 * 70000)) conv=notrunc status=none
}
p=s3://backups/vms
back_up()
{
	expect_code 0 env SOURCE_DATE_EPOCH=$((1700000000 + $1 * 86400)) "$VMABAK" backup --to $p --name "${2:-web}" root=root.raw
}
# keeps DAY REASON, merges DAY: what prune has said
keeps()
{
	grep -q "^keep .* web-2023-11-$1T221320Z.vmab ($2)\$" "$out" || fail "$1 is not kept as $2: $(cat "$out")"
}
merges()
{
	grep -q "^merge .* web-2023-11-$1T221320Z.vmab\$" "$out" || fail "$1 is not merged: $(cat "$out")"
}
names()
{
	tell objects | "$PYTHON" -c 'import json, sys; print(" ".join(sorted(n.split("/")[-1] for n in json.load(sys.stdin))))'
}

# ---- chains ----
expect_code 0 "$VMABAK" list $p/
expect_text "$out" "$p: no archives"
for i in 1 2 3 4; do
	change $i
	cp root.raw $i.raw
	back_up $i
done
back_up 2 other
expect_code 0 "$VMABAK" list $p/
expect_text "$out" 'machine web: 4 archives in 1 chain' 'machine other: 1 archive' 'web-2023-11-15T221320Z.vmab'
# What another run removes between the list and a look at it is left out.
expect_code 0 env SOURCE_DATE_EPOCH=1700000000 "$VMABAK" backup --to s3://backups/elsewhere --name gone root=1.raw
expect_code 0 "$VMABAK" list s3://backups/elsewhere/
expect_text "$out" 'no archives'
expect_code 0 "$VMABAK" list s3://backups/elsewhere/
expect_text "$out" 'machine gone: 1 archive'
# Pages of the store's list with nothing but what lies deeper are not its end.
for i in 0a 0b 0c 0d 1e 1f 1g p1 p2 p3 p4 p5; do
	tell protect/backups/vms/$i/deep >answer
done
"$VMABAK" list --json $p/ >list.json
"$PYTHON" -c 'import json
of = json.load(open("list.json"))
assert of["folder"] == "s3://backups/vms", of
web = [m for m in of["machines"] if m["machine"] == "web"][0]["archives"]
assert [a["parent_uuid"] for a in web] == [None] + [a["uuid"] for a in web[:-1]], web
assert all(a["state"] == "whole" and a["sums"] and not a["protected"] for a in web), web'
web=web-2023-11-1
expect_code 0 "$VMABAK" restore $p/${web}8T221320Z.vmab -C restored
same_file 4.raw restored/root.raw
expect_code 0 "$VMABAK" restore $p/${web}7T221320Z.vmab -C restored3
same_file 3.raw restored3/root.raw
expect_code 0 "$VMABAK" verify --chain $p/${web}8T221320Z.vmab
# Only what differs is stored, by the sums beside: the parent's data is not read.
[ "$(tell objects | jq ".\"/backups/vms/${web}8T221320Z.vmab\"")" -lt 300000 ] || fail "the increment is large: $(tell objects)"
: >requests
change 5
back_up 5
[ "$(wc -l <requests)" -le 90 ] || fail "$(wc -l <requests) requests for an increment: $(cat requests)"
# A parent elsewhere; by prefix and by a folder here.
expect_code 0 "$VMABAK" convert $p/${web}9T221320Z.vmab -o s3://backups/apart/last.vmab
expect_error 1 'is not in folder s3://backups/apart, nor named' "$VMABAK" restore s3://backups/apart/last.vmab -C none
expect_code 0 "$VMABAK" restore s3://backups/apart/last.vmab --parents $p/ -C apart
same_file root.raw apart/root.raw

# ---- removing ----
before=$(names)
expect_code 0 "$VMABAK" prune $p/ --name web --keep-last 1 --dry-run -v
keeps 19 last
[ "$before" = "$(names)" ] || fail 'a dry run changed something'
tell "protect/backups/vms/${web}6T221320Z.vmab.protected" >answer
expect_code 0 "$VMABAK" prune $p --name web --keep-last 1 --merge -v
keeps 15 needed
keeps 16 protected
merges 17
merges 18
no_uploads
expect_code 0 "$VMABAK" restore $p/${web}9T221320Z.vmab -C merged
same_file root.raw merged/root.raw
[ "$(names | grep -o 'web-[^ ]*vmab\.sums' | wc -l)" = 3 ] || fail "sums of those that are gone: $(names)"
back_up 6
expect_code 0 "$VMABAK" list $p/
expect_text "$out" 'machine web: 4 archives in 1 chain'
# What the store has locked stays, with what it needs.
end_store
rm requests
store
for i in 1 2 3; do
	expect_code 0 env SOURCE_DATE_EPOCH=$((1700000000 + i * 86400)) "$VMABAK" backup --to $p --name web \
		$([ $i != 2 ] || echo --retain-until 2099-12-31) root=$i.raw --full-every $((i == 3 ? 1 : 9))
done
expect_code 0 "$VMABAK" prune $p --keep-last 1 -v
keeps 15 needed
keeps 16 locked
keeps 17 last
expect_text "$err" "${web}6T221320Z.vmab: is locked by the object store until 2099-12-31"
expect_code 0 "$VMABAK" verify --chain $p/${web}6T221320Z.vmab
# Whether it has locked one may be something it does not tell, when it is asked last: that one is not removed.
two_then_one()
{
	end_store
	rm requests
	store "403@HEAD /backups/vms/${web}5T221320Z.vmab+$1"
	for i in 1 2; do
		expect_code 0 env SOURCE_DATE_EPOCH=$((1700000000 + i * 86400)) "$VMABAK" backup --to $p --name web root=$i.raw --full-every 1
	done
	expect_code "$2" "$VMABAK" prune $p --keep-last 1
}
two_then_one 1000 0
! names | grep -q "${web}5T221320Z.vmab" || fail "it is not removed: $(names)"
two_then_one "$(grep -c "^HEAD /backups/vms/${web}5T221320Z.vmab" requests)" 1
expect_text "$err" 'access denied'
names | grep -q "${web}5T221320Z.vmab" || fail "it was removed: $(names)"
