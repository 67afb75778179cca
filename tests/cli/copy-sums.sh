# A copy over a target whose sums are known: what differs from them alone is written, and nothing of the target is read but samples; by a
# list of changes, too; on files, NBD exports and devices. Sums and lists that lie are found, nothing is made of sums that are of no
# archive, and after a kill at any moment there are no sums that are wrong.
. "$(dirname "$0")/lib.sh"
need_images

copy() { "$VMABAK" copy "$@"; }
make_random a.raw 6000001 1
truncate -s 20000001 a.raw
put a.raw 12000000 data
expect_code 0 copy -q a.raw b.raw --sums b.sums
# again WRITTEN [OPTION]...: b.raw becomes a.raw by so many bytes.
again()
{
	lib_written=$1
	shift
	expect_code 0 copy a.raw b.raw --target-sums b.sums --sums b.sums --json "$@"
	expect_json "$out" "d['written_bytes'] == $lib_written"
	same_file a.raw b.raw
}

again 0
flip a.raw 70000
put a.raw 15000000 more
dd if=/dev/zero of=a.raw bs=65536 seek=30 count=2 conv=notrunc status=none
again $((4 * 65536))
again 0
put a.raw 20000000 e
again $((20000001 % 65536)) --verify written
expect_json "$out" "d['compared_bytes'] == 20000001 % 65536"
# All that is read of the target are the samples.
flip a.raw 70000
expect_code 0 copy a.raw b.raw --target-sums b.sums --no-verify --json
expect_json "$out" "d['written_bytes'] == 65536" "d['compared_bytes'] == 0"
same_file a.raw b.raw

# With a list, of which the rest is tried.
"$VMABAK" copy -q --rollback a.raw b.raw --sums b.sums || fail "sums of a rollback"
cp b.sums was.sums
flip a.raw 200000
printf '# vmabak changes 1\n# size 20000001\n196608 65536\n# end 1\n' >right.list
again 65536 --changed right.list
expect_json "$out" "d['read_bytes'] == 65536"
again 0
dd if=/dev/urandom of=a.raw bs=65536 seek=40 count=40 conv=notrunc status=none
cp b.raw then.raw
expect_error 4 'right.list: does not say all that changed' copy a.raw b.raw --target-sums b.sums --changed right.list
same_file b.raw then.raw
expect_error 2 '--target-sums' copy a.raw b.raw --changed right.list --sums b.sums
again $((40 * 65536))

# A target that is another one, by samples; by one cluster, by the comparison.
make_random other.raw 6000001 2
truncate -s 20000001 other.raw
cp other.raw then.raw
expect_error 4 'other.raw: is not what b.sums is of, at byte' copy a.raw other.raw --target-sums b.sums --no-verify
same_file other.raw then.raw
truncate -s 40M a.raw
cp a.raw large.raw
expect_code 0 copy -q --rollback a.raw large.raw --sums large.sums
dd if=/dev/urandom of=a.raw bs=1M count=30 seek=10 conv=notrunc status=none
expect_code 0 copy -q a.raw large.raw --target-sums large.sums --sums large.sums
flip large.raw 30000000
copy -q a.raw large.raw --target-sums large.sums 2>"$err" && fail "a target that was changed"
grep -q 'is not what large.sums is of, at byte 29949952\|differs from a.raw at byte 30000000' "$err" || fail "$(cat "$err")"
expect_error 2 'of a drive of 20000001 bytes, and the drive has 41943040' copy a.raw large.raw --target-sums b.sums
expect_error 2 '--verify' copy -q a.raw large.raw --target-sums large.sums --verify written --no-verify
expect_error 1 'No such file' copy a.raw large.raw --target-sums none.sums
cp a.raw precious
expect_error 2 'exists already, and is no sums file' copy a.raw large.raw --rollback --sums precious
expect_error 2 'that is there' copy a.raw new.raw --target-sums large.sums
flip large.sums 5000
expect_error 4 large.sums copy a.raw large.raw --target-sums large.sums

# An archive tells, too, what was restored from it; sums of a copy are no parent.
truncate -s 20000001 a.raw
expect_code 0 "$VMABAK" backup -q -o x.vmab one=a.raw two=other.raw
expect_code 0 "$VMABAK" restore -q x.vmab -d one=t.raw -d two=t2.raw
flip a.raw 300
expect_error 2 'has 2 drives: which one? NAME=x.vmab' copy a.raw t.raw --target-sums x.vmab
expect_error 2 "has no drive 'three'" copy a.raw t.raw --target-sums three=x.vmab
expect_code 0 copy a.raw t.raw --target-sums one=x.vmab --sums t.sums --json
expect_json "$out" "d['written_bytes'] == 65536"
same_file a.raw t.raw
expect_error 2 'are sums of a copy, not of an archive' "$VMABAK" backup -o y.vmab --parent t.sums a.raw

# Over NBD, zeros and the end included; and --rollback there.
cp a.raw far.raw
truncate -s 20000256 far.raw
qemu-nbd -t -f raw -k "$PWD/n.sock" far.raw &
on_exit "kill $! 2>/dev/null"
wait_until test -S n.sock
put a.raw 9000000 data
dd if=/dev/zero of=a.raw bs=65536 seek=50 count=2 conv=notrunc status=none
expect_code 0 copy a.raw 'nbd+unix:///?socket=n.sock' --target-sums t.sums --sums t.sums --json
expect_json "$out" "d['written_bytes'] == 3 * 65536"
cmp -n 20000001 a.raw far.raw || fail "over NBD"
flip a.raw 9000000
flip far.raw 18000000
expect_code 0 copy --rollback a.raw 'nbd+unix:///?socket=n.sock' --json
expect_json "$out" "d['written_bytes'] == 2 * 65536"
cmp -n 20000001 a.raw far.raw || fail "a rollback over NBD"

# Killed, while the source goes on, and back: from the first write on there are no sums.
begun() { ! cmp -s b.raw then.raw; }
expect_code 0 copy -q --rollback a.raw b.raw --sums b.sums
for round in $(seq "${VMABAK_ROUNDS:-3}"); do
	cp a.raw then.raw
	dd if=/dev/urandom of=a.raw bs=65536 seek=$((round * 7 % 100)) count=200 conv=notrunc status=none
	"$VMABAK" copy -q a.raw b.raw --target-sums b.sums --sums b.sums --rate 40M &
	copying=$!
	wait_until begun
	sleep "0.0$((round * 7919 % 90 + 10))"
	kill -9 $copying
	wait $copying 2>/dev/null || :
	[ ! -e b.sums ] || fail "sums of what the target does not hold any more: round $round"
	[ $((round % 2)) = 0 ] || cp then.raw a.raw
	expect_code 0 copy -q --rollback a.raw b.raw --sums b.sums
	same_file a.raw b.raw
done

# Sums do not take the place of the copy, by whatever name.
expect_error 2 'is the copy itself' copy a.raw same.raw --sums same.raw
[ ! -e same.raw ] || fail 'is there'
expect_error 2 'exists already, and is no sums file' copy a.raw same.raw --sums ./same.raw
same_file a.raw same.raw
