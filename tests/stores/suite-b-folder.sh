# Chains of archives at a prefix. Sourced by suite.sh.
p=s3://backups/vms/night
# night DAY [OPTION...]
night()
{
	day=$1
	shift
	printf "night $day" | dd of=root.raw bs=1 seek=$((day * 700000)) conv=notrunc status=none
	cp root.raw night$day.raw
	expect_code 0 env SOURCE_DATE_EPOCH=$((1700000000 + day * 86400)) "$VMABAK" backup --to $p --name web "$@" root=root.raw
}
make_random root.raw 20000000 5
for day in 1 2 3 4; do
	night $day
done
expect_code 0 "$VMABAK" list $p/
expect_text "$out" 'machine web: 4 archives in 1 chain'
expect_no_text "$out" DAMAGED LACKS
for day in 1 2 3 4; do
	expect_code 0 "$VMABAK" restore $p/web-2023-11-1$((4 + day))T221320Z.vmab -C night$day
	same_file night$day.raw night$day/root.raw
done
expect_code 0 "$VMABAK" verify --chain $p/web-2023-11-18T221320Z.vmab
passed '--to, list, restore and verify of a chain'

expect_code 0 "$VMABAK" prune $p --keep-last 2 --dry-run -v
expect_text "$out" 'web-2023-11-16T221320Z.vmab (needed)'
expect_code 0 "$VMABAK" prune $p --keep-last 2 --merge -v
expect_code 0 "$VMABAK" list $p/
expect_text "$out" 'machine web: 2 archives in 1 chain'
for day in 3 4; do
	expect_code 0 "$VMABAK" restore $p/web-2023-11-1$((4 + day))T221320Z.vmab -C merged$day
	same_file night$day.raw merged$day/root.raw
done
night 5
expect_code 0 "$VMABAK" verify --chain $p/web-2023-11-19T221320Z.vmab
passed 'prune, --merge, and an increment after it'

make_random slow.raw 60000000 6
in_background "$VMABAK" backup --rate 5M --to $p --name web root=slow.raw
has_lock()
{
	grep -qs 'lock$' state/vmabak/uploads/* && grep -qs '=' state/vmabak/uploads/*
}
is_told()
{
	"$VMABAK" backup -q --to $p --name web root=root.raw 2>told && fail 'it has not seen the lock'
	grep -q 'another run of vmabak works here' told
}
wait_until has_lock
wait_until is_told
kill -KILL "$pid"
wait "$pid" || :
night 6
expect_code 0 "$VMABAK" prune $p --keep-last 3
[ -z "$(ls state/vmabak/uploads)" ] || fail "notes are left: $(cat state/vmabak/uploads/*)"
passed 'the lock, and that of a killed run'

if [ "$store" = ceph ]; then
	p=s3://locked/night
	night 1
	night 2 --retain-until 2099-12-31
	night 3 --full-every 1
	expect_code 0 "$VMABAK" prune $p --keep-last 1 -v
	expect_text "$err" 'web-2023-11-16T221320Z.vmab: is locked by the object store until 2099-12-31'
	expect_text "$out" 'web-2023-11-16T221320Z.vmab (locked)' 'web-2023-11-15T221320Z.vmab (needed)'
	expect_code 0 "$VMABAK" verify --chain $p/web-2023-11-16T221320Z.vmab
	passed 'prune and locked objects'
fi
