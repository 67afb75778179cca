# What is recorded of a QEMU's drive does not go along when a mirror leads the guest away from it: the next increment compares, says
# why, and is right, and the one after that reads what changed.
. "$(dirname "$0")/lib.sh"
. "$CLI/mirror.sh"
. "$CLI/iothread.sh"

need_images
start_writing_machine 8M
track() # CODE FILE [OPTION]...
{
	lib_code_of=$1 lib_file=$2
	shift 2
	expect_code "$lib_code_of" "$VMABAK" backup --track --state st "qemu:$qmp" -d root -o "$lib_file" "$@"
}
track 0 0.vmab
expect_code 0 mirror start -d root=troot.raw
expect_code 0 mirror wait
expect_code 0 mirror pivot -q
writes_on
track 3 1.vmab --parent 0.vmab
expect_text "$err" 'as by a pivot of a mirror'
writes_on
ask_qmp stop >/dev/null
track 0 2.vmab --parent 1.vmab
expect_text "$err" 'taken as unchanged'
expect_code 0 "$VMABAK" restore -q 2.vmab -d root=now.raw
same_file now.raw troot.raw
