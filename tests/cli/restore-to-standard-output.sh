# One drive goes to standard output in order, whatever the order in the archive, with little memory.
. "$(dirname "$0")/lib.sh"

need_python xxhash
make_random drive.raw 9000000 1
truncate -s 40000001 drive.raw
put drive.raw 39999990 'the end'
put drive.raw 16777210 'from one window to the next'
make_random other.raw 100000 2
echo 1 >conf
expect_code 0 "$VMABAK" backup -o a.vmab -c conf=conf root=drive.raw other=other.raw

to_file()
{
	"$@" >back.raw
}
# Into an empty file with holes, at the end of another, over old bytes, into a pipe.
expect_code 0 to_file "$VMABAK" restore -q a.vmab -d root=-
same_file drive.raw back.raw
[ "$(allocated back.raw)" -lt 12000 ] || fail "no holes: $(allocated back.raw) KiB"
printf 123 >back.raw
"$VMABAK" restore -q a.vmab -d root=- >>back.raw
printf 123 | cat - drive.raw | cmp - back.raw || fail "appended"
make_full back.raw 40000001
"$VMABAK" restore -q a.vmab -d @1=- 1<>back.raw
same_file drive.raw back.raw
"$VMABAK" restore -q --no-sync - -d root=- <a.vmab | cmp - drive.raw || fail "through a pipe"
truncate -s 20000000 zeros.raw
expect_code 0 "$VMABAK" backup -o z.vmab zeros.raw
expect_code 0 to_file "$VMABAK" restore -q z.vmab -d disk0=-
same_file zeros.raw back.raw

# Clusters in any order, an extent for several windows of 256 clusters.
compile - any.vmab <<'END'
format vmab
drive other 65536
drive root 100M
extent zstd
data root 1599 random 1
data root 3 random 2
data other 0 random 3
data root 600 at 4096 random 4
extent
data root 511 random 5
data root 512 random 6
zeros root 1000 599
extent zstd
data root 0 random 7
zeros root 513 87
zeros root 4 507
data root 2 random 8
data root 1 random 9
zeros root 601 399
END
expect_code 0 "$VMABAK" verify any.vmab
expect_code 0 "$VMABAK" restore any.vmab -d root=any.raw
for threads in 1 3; do
	"$VMABAK" restore -q --threads $threads any.vmab -d root=- | cmp - any.raw || fail "in any order"
done

# Little memory, and the bar and the JSON are not among the bytes.
make_random large.raw 90000000 3
expect_code 0 "$VMABAK" backup -q --no-sync -o l.vmab large.raw
expect_code 0 to_file "$PYTHON" "$CLI/measure.py" --memory 64 "$VMABAK" restore --threads 2 --json \
	--progress always l.vmab -d disk0=-
same_file large.raw back.raw
expect_json "$err" "d['drives'][0]['target'] == '-'" "d['exit_code'] == 0"

# Damage, a reader that goes away, a full disk.
flip l.vmab 60000000
expect_code 4 to_file "$VMABAK" restore l.vmab -d disk0=-
cmp -n "$(size_of back.raw)" back.raw large.raw || fail "wrong bytes before the damage"
sh -c '{ "$VMABAK" restore a.vmab -d root=- 2>said; echo $? >code; } | head -c 100000 >/dev/null'
[ "$(cat code)" = 1 ] || fail "code $(cat code)"
expect_text said 'standard output: writing: Broken pipe'
"$VMABAK" restore a.vmab -d root=- 2>said >/dev/full && fail "a full disk is no error"
expect_text said 'standard output: writing: No space left'
[ ! -e ./- ] || fail "a file called -"

# What cannot be: no index, two things for one place, the archive itself, a terminal.
expect_code 0 "$VMABAK" backup -q --parent a.vmab -o inc.vmab root=drive.raw other=other.raw
expect_error 2 "this one is incremental: restore it to a file, or make it full with 'vmabak merge' first" \
	"$VMABAK" restore inc.vmab -d root=-
rm inc.vmab*
expect_code 0 "$VMABAK" convert -q a.vmab -o a.vma
gzip -k a.vmab
for archive in a.vma a.vmab.gz; do
	expect_error 2 'from a full VMAB archive in a file only' "$VMABAK" restore $archive -d root=-
done
expect_code 2 sh -c 'cat a.vmab | "$VMABAK" restore - -d root=-'
expect_error 2 'standard output takes one drive' "$VMABAK" restore a.vmab -d root=- -d other=-
expect_error 2 'standard output takes one drive' "$VMABAK" restore a.vmab -d root=- -d other=x.raw
expect_error 2 'standard output takes one drive' "$VMABAK" restore a.vmab -d root=- --configs
expect_error 2 'not a qcow2 image' "$VMABAK" restore a.vmab -d root=-,format=qcow2
expect_error 2 'a drive cannot be salvaged to standard output' "$VMABAK" salvage a.vmab -d root=-
cp a.vmab b.vmab
expect_code 2 sh -c '"$VMABAK" restore b.vmab -d root=- >>b.vmab'
same_file a.vmab b.vmab
expect_code 0 "$VMABAK" restore a.vmab -d root=./-
same_file drive.raw ./-
