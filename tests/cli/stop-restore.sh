# A restore or convert that is interrupted leaves no new file, nor the folder that it made.
. "$(dirname "$0")/lib.sh"

make_random drive.raw 25000000 1
echo text >a.conf
expect_code 0 "$VMABAK" backup -o a.vmab -c a.conf drive.raw two=drive.raw
mkdir there
echo mine >there/mine
for signal in INT:130 TERM:143 HUP:129; do
	for folder in new there; do
		in_background "$VMABAK" restore --rate 5M a.vmab -C $folder
		wait_until has_part $folder 1
		kill -"${signal%:*}" "$pid"
		ended_with "${signal#*:}" "$pid"
		nothing_but a.conf a.vmab drive.raw there
		[ "$(ls -A there)" = mine ] || fail "left: $(ls -A there)"
	done
	in_background "$VMABAK" convert --rate 5M a.vmab -o b.vma
	wait_until has_part . 10000
	kill -"${signal%:*}" "$pid"
	ended_with "${signal#*:}" "$pid"
	nothing_but a.conf a.vmab drive.raw there
done
# What is ignored from the start stays ignored: nohup, and jobs in the background of a script.
(
	trap '' HUP
	exec "$VMABAK" restore --rate 25M a.vmab -C nohup
) >"$out" 2>"$err" &
pid=$!
wait_until has_part nohup 1
kill -HUP $pid
ended_with 0 $pid
same_file drive.raw nohup/disk0.raw
