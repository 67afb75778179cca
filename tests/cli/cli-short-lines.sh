# Results fit into 100 columns, show what there is, and count no holes as speed.
. "$(dirname "$0")/lib.sh"

# one_line FILE: a single line of at most 100 columns.
one_line()
{
	[ "$(wc -l <"$1")" = 1 ] || fail "not one line: $(cat "$1")"
	! grep '.\{101\}' "$1" || fail "a line is too long"
	! grep -E ' 0 (configs|drives|B)|/s' "$1" || fail "says what there is none of, or how fast holes are"
}

make_random root.raw 3000000 1
truncate -s 20G root.raw data.raw
echo 'cores: 2' >qemu-server.conf
name=vzdump-qemu-100-2026_11_20-01_00_00
expect_code 0 "$VMABAK" backup -o $name.vmab -c qemu-server.conf drive-scsi0=root.raw drive-scsi1=data.raw
one_line "$err"
grep -qE "^$name.vmab: 2.9 MiB of data from 2 drives, 2.9 MiB written, [0-9.:]+( s)?$" "$err" || fail "$(cat "$err")"
expect_code 0 "$VMABAK" convert $name.vmab --no-vma-checksums -o c.vma
one_line "$err"
expect_code 0 "$VMABAK" verify $name.vmab
one_line "$out"
expect_code 0 "$VMABAK" restore $name.vmab -d drive-scsi0=one.raw
one_line "$err"
grep -qE "^$name.vmab: 1 drive \\(20.0 GiB\\) restored in " "$err" || fail "$(cat "$err")"
put $name.vmab 1000000 'a bad sector'
expect_code 4 "$VMABAK" verify $name.vmab
expect_code 5 "$VMABAK" salvage $name.vmab -C salvaged
head -n 1 "$out" >first
one_line first
# Into a pipe nobody is named.
expect_code 0 sh -c '"$VMABAK" backup -o - --format vmab root=one.raw >piped'
grep -qE "^2.9 MiB of data from 1 drive, 2.9 MiB written, " "$err" || fail "$(cat "$err")"
expect_code 0 sh -c '"$VMABAK" restore - -C back <piped'
grep -qE "^1 drive \\(20.0 GiB\\) restored in " "$err" || fail "$(cat "$err")"
# A folder that is missing is named.
expect_error 1 'nope/x.vmab: folder nope: No such file' "$VMABAK" backup -o nope/x.vmab one.raw
