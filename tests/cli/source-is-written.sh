# A drive that is changed while it is read: the archive is kept, with a warning and code 3.
. "$(dirname "$0")/lib.sh"

for change in 'put drive.raw 24000000 changed' 'truncate -s 30000000 drive.raw' 'touch drive.raw'; do
	for archive in a.vmab a.vma; do
		make_random drive.raw 25000000 1
		touch -d '2020-01-01' drive.raw
		in_background "$VMABAK" backup --rate 20M --json -o $archive drive.raw
		wait_until has_part . 100000
		$change
		ended_with 3 $pid
		expect_text "$err" 'warning: drive disk0: drive.raw changed while it was read'
		expect_json "$out" "len(d['warnings']) == 1" "d['exit_code'] == 3"
		expect_code 0 "$VMABAK" verify $archive
		nothing_but $archive drive.raw
		rm $archive
	done
done
