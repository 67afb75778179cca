# verify --chain: every archive of a chain, its links, and that the newest instant is whole; 4 when not, and what helps.
. "$(dirname "$0")/lib.sh"

make_random disk.raw 3000000 1
make_random b.raw 100000 2
expect_code 0 "$VMABAK" backup -q -o 0.vmab disk=disk.raw b=b.raw
for n in 1 2 3; do
	put disk.raw $((n * 600000)) "$n"
	dd if=/dev/zero of=disk.raw bs=65536 seek=$((n + 3)) count=1 conv=notrunc status=none
	expect_code 0 "$VMABAK" backup -q --parent $((n - 1)).vmab -o $n.vmab disk=disk.raw b=b.raw
done
uuid=$("$VMABAK" list --json 1.vmab | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["uuid"])')

expect_code 0 "$VMABAK" verify --chain 3.vmab
expect_text "$out" '3.vmab: ok, every checksum matches: incremental, ' './0.vmab: ok' '3.vmab: ok, complete in 4 archives: 2 drives of '
[ "$(wc -l <"$out")" = 5 ] || fail "$(cat "$out")"
expect_code 0 "$VMABAK" verify --chain --quick --json 3.vmab 1.vmab
expect_json "$out" "d['chain'] == {'ok': True, 'n_archives': 4, 'proved_since': d['chain']['proved_since']}" "d['chain']['proved_since'] is not None" "[one['ok'] for one in d['archives']] == [True] * 4" "d['archives'][0]['quick']"
expect_code 0 "$VMABAK" verify --chain 0.vmab
expect_text "$out" 'complete in 1 archive:'
expect_code 0 "$VMABAK" verify -q --chain 2.vmab
[ ! -s "$out" ] || fail "not quiet"

# A missing one is named with its uuid; the others are verified all the same.
mkdir away
mv 1.vmab away
flip 2.vmab -600
expect_code 4 "$VMABAK" verify --chain 3.vmab
expect_text "$out" '3.vmab: ok'
expect_text "$err" '2.vmab: damaged at byte' "2.vmab: its parent $uuid is not in folder ., nor named" 'give the file'
[ "$(wc -l <"$err")" = 2 ] || fail "$(cat "$err")"
expect_code 4 "$VMABAK" verify --chain --json 3.vmab
expect_json "$out" "not d['chain']['ok']" "d['chain']['error']['code'] == 'incomplete'" "d['chain']['n_archives'] == 2"
flip 2.vmab -600
expect_code 4 "$VMABAK" verify --chain 3.vmab
[ "$(wc -l <"$err")" = 1 ] || fail "$(cat "$err")"
expect_code 0 "$VMABAK" verify --chain -q 3.vmab away/1.vmab 0.vmab
expect_code 0 "$VMABAK" verify --chain -q 3.vmab --parents away --parents .
expect_code 0 "$VMABAK" merge -q 3.vmab --parents away --parents . -o m.vmab
expect_code 0 "$VMABAK" convert -q 3.vmab --parents away --parents . -o m.vma
expect_code 0 "$VMABAK" restore -q m.vma -d b=b.got -d disk=d.got
cmp -n 3000000 d.got disk.raw || fail "convert with a folder of parents"
expect_code 0 "$VMABAK" convert --json 3.vmab --parents away --parents . -o one.vmab
expect_json "$out" "d['parent_uuid'] is not None"
rm m.vmab m.vma one.vmab b.got d.got
mv away/1.vmab .

# One that cannot be read is not called missing.
if command -v strace >/dev/null && strace -f -o /dev/null true 2>/dev/null; then
	expect_code 1 strace -f -qq -o /dev/null -e trace=pread64 -e inject=pread64:error=EIO -P 1.vmab "$VMABAK" verify --chain 3.vmab
	expect_text "$out" '3.vmab: ok' '2.vmab: ok'
	expect_text "$err" "2.vmab: its parent $uuid is not found" './1.vmab: Input/output error'
	expect_no_text "$err" 'nor named'
fi

# Damaged or cut: each is told, and the chain is not said to be whole.
flip 0.vmab 20000
size=$(size_of 1.vmab)
truncate -s $((size - 512)) 1.vmab
expect_code 4 "$VMABAK" verify --chain 3.vmab
expect_text "$err" '0.vmab: damaged' '1.vmab: incomplete'
expect_no_text "$out" 'complete in'
expect_error 2 'is no parent' "$VMABAK" verify --chain 0.vmab 3.vmab
expect_error 2 'standard input' sh -c '"$VMABAK" verify --chain - <0.vmab'
expect_error 1 'no-such' "$VMABAK" verify --chain no-such.vmab

# Whole archives of which some cluster is in none: another's uuid, a smaller drive; one drive less.
A=a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf
mkdir forged
head -c 65536 disk.raw >small.raw
expect_code 0 "$VMABAK" backup -q --uuid $A -o forged/p.vmab disk=disk.raw b=b.raw
expect_code 0 "$VMABAK" backup -q --parent forged/p.vmab -o forged/q.vmab disk=disk.raw b=b.raw
for drives in 'disk=small.raw b=b.raw' 'disk=disk.raw'; do
	# shellcheck disable=SC2086 # words
	expect_code 0 "$VMABAK" backup -q --force --uuid $A -o forged/p.vmab $drives
	expect_code 4 "$VMABAK" verify --chain forged/q.vmab
	expect_text "$err" 'in no archive of the chain'
	expect_no_text "$out" 'complete in'
	expect_code 0 "$VMABAK" verify -q forged/q.vmab forged/p.vmab
done
