# A block device that is written while it is read, by a program that takes no lock: the archive is kept, with a
# warning and code 3. What was written before does not count, even if it was in the page cache only.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 25000000 1
loop_device drive.raw
# begin: a backup of the device that is in the midst of reading, at $pid
begin()
{
	in_background "$VMABAK" backup --rate 20M -o a.vmab "$loop"
	wait_until has_part . 100000
}

exec 8<>"$loop"
dd if=/dev/zero of="$loop" bs=64k count=16 conv=notrunc status=none
begin
exec 8>&-
ended_with 0 $pid
expect_no_text "$err" changed
rm a.vmab

begin
printf changed | dd of="$loop" bs=1 seek=20000000 conv=notrunc status=none
ended_with 3 $pid
expect_text "$err" "warning: drive disk0: $loop changed while it was read"
expect_code 0 "$VMABAK" verify a.vmab
