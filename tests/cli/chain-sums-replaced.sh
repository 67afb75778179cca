# Sums beside an archive go when another archive of the same uuid takes its name, whose content they are not; and not before: a run that
# fails leaves both. In a folder and in an object store.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/store.sh"

make_random a.raw 3000000 1
uuid=01234567-89ab-cdef-0123-456789abcdef
expect_code 0 "$VMABAK" backup -q -o 0.vmab a=a.raw
# begin ARCHIVE: an increment there, and then a slow archive in its place
begin()
{
	expect_code 0 "$VMABAK" backup -q --uuid $uuid --parent 0.vmab -o "$1" a=a.raw
	in_background "$VMABAK" backup --force --rate 200K --compress none --uuid $uuid -o "$1" a=a.raw
}
stop()
{
	kill -TERM $pid
	ended_with 143 $pid
}

begin 1.vmab
cp 1.vmab kept
cp 1.vmab.sums kept.sums
wait_until has_part . 10000
stop
same_file kept 1.vmab
same_file kept.sums 1.vmab.sums
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid -o 1.vmab a=a.raw
[ ! -e 1.vmab.sums ] || fail 'sums of the archive that was replaced are left'

store
has()
{
	tell objects | grep -q "\"/backups/$1\""
}
uploading()
{
	tell uploads | grep -q 1
}
begin s3://backups/1.vmab
has 1.vmab.sums || fail 'there are no sums in the store'
wait_until uploading
stop
has 1.vmab || fail 'the archive is gone'
has 1.vmab.sums || fail 'the sums are gone'
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid -o s3://backups/1.vmab a=a.raw
! has 1.vmab.sums || fail 'sums of the archive that was replaced are left in the store'
# What only has such a name stays.
expect_code 0 "$VMABAK" backup -q --format vmab -o s3://backups/1.vmab.sums a=a.raw
expect_code 0 "$VMABAK" backup -q --force --uuid $uuid -o s3://backups/1.vmab a=a.raw
has 1.vmab.sums || fail 'what is no sums file is gone'
